// SPDX-License-Identifier: Apache-2.0
//
// Where Step::stores should stream by itself: copy_crc32 with stores that stay
// in the caches and with such that pass them, of every size around the caches'
// own. `stores_only` counts the copy; after `stores_then_read` a CRC reads the
// destination once, as a buffered write would.
#include <string>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/verbs.h"
#include "caisson/crc32.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

// As many pieces as fill what no cache holds.
constexpr size_t kRingBytes = size_t{256} << 20;

Body CopyCrc32(Stores stores, bool then_read, size_t bytes) {
  return [=](benchmark::State& state) {
    const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
    if (!kernels.has_value()) return Fail(state, kernels.error());
    // Other memory each time, as a checkpoint has it: no piece is in a cache
    // because the last round left it there.
    const size_t ring = kRingBytes / bytes;
    const std::byte* const src = Source(DType::kUInt8, ring * bytes);
    std::byte* const dst = Destination(ring * bytes);
    size_t turn = 0;
    Measure(state, bytes, [&] {
      uint32_t crc = 0;
      const size_t at = turn++ % ring * bytes;
      const Job job = {
          .src = src + at, .dst = dst + at, .elems = bytes, .crc = &crc};
      const Status status =
          (*kernels)->transform({.stores = stores}, {&job, 1}, {}, {});
      if (then_read) {
        benchmark::DoNotOptimize(Crc32(0, {job.dst, bytes}));
      }
      return status;
    });
  };
}

}  // namespace

void RegisterStores() {
  for (const size_t kib : {64, 256, 512, 1024, 2048, 4096, 16384, 65536}) {
    const size_t bytes = kib << 10;
    for (const bool then_read : {false, true}) {
      const std::string verb = then_read ? "stores_then_read" : "stores_only";
      Register(verb, "cached", bytes,
               CopyCrc32(Stores::kCached, then_read, bytes));
      Register(verb, "streaming", bytes,
               CopyCrc32(Stores::kStreaming, then_read, bytes));
    }
  }
}

}  // namespace caisson::bench
