// SPDX-License-Identifier: Apache-2.0
//
// An ordinary store to memory that is not cached reads the line first and
// writes it later; a non-temporal one writes it only, which saves a third of
// the traffic of a copy. Lines are filled in one go, or the write-combining
// buffers would send them in parts.
#include "kernels/cpu/stream_copy.h"

#include <cassert>
#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/stream_copy.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void StreamLines(const uint8_t* src, uint8_t* dst, size_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t step = hn::Lanes(d);
  // Lanes of one byte (HWY_SCALAR) have no such stores.
  const bool streams = step > 1 && step <= kLineBytes;
  const size_t lines = streams ? bytes / kLineBytes * kLineBytes : 0;
  size_t i = 0;
  for (; i < lines; i += kLineBytes) {
    for (size_t at = i; at < i + kLineBytes; at += step) {
      hn::Stream(hn::LoadU(d, src + at), d, dst + at);
    }
  }
  std::memcpy(dst + i, src + i, bytes - i);
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(StreamLines);

void StreamCopy(const std::byte* src, std::byte* dst, size_t bytes) {
  assert(reinterpret_cast<uintptr_t>(dst) % kLineBytes == 0);
  HWY_DYNAMIC_DISPATCH(StreamLines)
  (reinterpret_cast<const uint8_t*>(src), reinterpret_cast<uint8_t*>(dst),
   bytes);
}

void StreamFence() { hwy::FlushStream(); }

}  // namespace caisson::cpu
#endif  // HWY_ONCE
