// SPDX-License-Identifier: Apache-2.0
//
// Byte swap: one load, one shuffle, one store. The loop works on bytes, so no
// pointer needs alignment, and memory bounds it, so it is not unrolled.
#include "kernels/cpu/byte_swap.h"

#include <cassert>
#include <cstdint>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/byte_swap.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR  // vectors of one byte: nothing to shuffle

size_t SwapVectors(const uint8_t*, uint8_t*, size_t, size_t) { return 0; }

#else

// Swaps as many whole vectors as there are, and says how many bytes that was.
size_t SwapVectors(const uint8_t* src, uint8_t* dst, size_t bytes,
                   size_t width) {
  const hn::ScalableTag<uint8_t> d;
  const size_t step = hn::Lanes(d);

  // Within a 16-byte block, byte i comes from its mirror inside the unit.
  alignas(16) uint8_t mirror[16];
  for (size_t i = 0; i < 16; ++i) {
    mirror[i] = static_cast<uint8_t>(i ^ (width - 1));
  }
  const auto order = hn::LoadDup128(d, mirror);

  size_t i = 0;
  for (; i + step <= bytes; i += step) {
    hn::StoreU(hn::TableLookupBytes(hn::LoadU(d, src + i), order), d, dst + i);
  }
  return i;
}

#endif  // HWY_TARGET == HWY_SCALAR

void SwapUnits(const uint8_t* src, uint8_t* dst, size_t bytes, size_t width) {
  for (size_t i = SwapVectors(src, dst, bytes, width); i < bytes; i += width) {
    uint8_t unit[8];
    std::memcpy(unit, src + i, width);
    for (size_t b = 0; b < width; ++b) dst[i + b] = unit[width - 1 - b];
  }
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(SwapUnits);

void SwapBytes(const std::byte* src, std::byte* dst, size_t bytes,
               size_t width) {
  assert(width == 2 || width == 4 || width == 8);
  assert(bytes % width == 0);
  HWY_DYNAMIC_DISPATCH(SwapUnits)
  (reinterpret_cast<const uint8_t*>(src), reinterpret_cast<uint8_t*>(dst),
   bytes, width);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
