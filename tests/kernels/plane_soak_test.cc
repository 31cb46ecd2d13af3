// SPDX-License-Identifier: Apache-2.0
//
// Ten million damaged chunks, decoded between guard pages: none faults, and
// none that is taken for good gives anything but what was encoded. Every 64th
// is decoded by the plain coder and by CUDA's lanes too, which have to find the
// same. CAISSON_SOAK_CHUNKS sets another number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "kernels/cpu/targets.h"
#include "kernels/kernel_table.h"
#include "tests/support/cuda_lanes.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/plane_chunks.h"
#include "tests/support/plane_data.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

struct Sample {
  EncodedChunk encoded;
  Bytes elems;
};

std::vector<Sample> MakeSamples() {
  std::vector<Sample> samples;
  for (size_t t = 0; t < kPlaneTypes; ++t) {
    for (size_t d = 0; d < kPlaneDataKinds; ++d) {
      const auto type = static_cast<PlaneType>(t);
      const uint32_t elems = d % 2 == 0 ? 4096 : 4097 + 37 * d;
      Bytes src = MakePlaneData(type, static_cast<PlaneData>(d), elems, d);
      EncodedChunk encoded = EncodeChunk(nullptr, src, type);
      samples.push_back({std::move(encoded), std::move(src)});
    }
  }
  return samples;
}

// Chunks of every kind, each damaged in up to four places, half of them where
// fields are dense: the head of the coded part, and the entry of the index.
class Damage {
 public:
  void Apply(std::span<std::byte> bytes, PlaneChunk* chunk) {
    const size_t raw = chunk->raw_bytes;
    for (uint32_t edits = 1 + Below(4); edits > 0; --edits) {
      const uint32_t where = Below(16);
      if (where == 0) {
        Entry(chunk);
        continue;
      }
      size_t at = Below(static_cast<uint32_t>(bytes.size()));
      if (where < 8 && raw + 1 < bytes.size()) {
        at = raw + Below(static_cast<uint32_t>(
                       std::min<size_t>(200, bytes.size() - raw)));
      }
      bytes[at] ^= Below(2) == 0 ? std::byte{1} << Below(8)
                                 : static_cast<std::byte>(Below(256));
    }
  }

 private:
  uint32_t Below(uint32_t limit) {
    return static_cast<uint32_t>(random_() % limit);
  }

  // A field that leaves the sizes of the memory as they are.
  void Entry(PlaneChunk* chunk) {
    switch (Below(3)) {
      case 0:
        chunk->crc32 ^= 1u << Below(32);
        return;
      case 1:
        chunk->shift = static_cast<uint8_t>(Below(4));
        return;
      case 2:
        chunk->flags ^= static_cast<uint8_t>(1u << Below(8));
        return;
    }
  }

  std::mt19937_64 random_{1};
};

uint64_t Chunks() {
  const char* const set = std::getenv("CAISSON_SOAK_CHUNKS");
  return set == nullptr ? 10'000'000 : std::strtoull(set, nullptr, 10);
}

TEST(PlaneSoak, TenMillionDamagedChunks) {
  const std::vector<Sample> samples = MakeSamples();
  const std::vector<cpu::SimdTarget> targets = cpu::SimdTargets();
  const GuardedBuffer source(size_t{1} << 17);
  const GuardedBuffer target(size_t{1} << 17);
  const KernelTable& cpu = **KernelsFor(Device::Cpu());
  Damage damage;
  Bytes other(size_t{1} << 17);
  const uint64_t count = Chunks();
  uint64_t by_fault[8] = {};
  for (uint64_t i = 0; i < count; ++i) {
    // The best target half of the time, the others in turn.
    const size_t turn = i / 1024 % (2 * targets.size());
    hwy::SetSupportedTargetsForTest(
        targets[turn < targets.size() ? 0 : turn - targets.size()].bit);
    const Sample& sample = samples[i % samples.size()];
    PlaneChunk chunk = sample.encoded.chunk;
    const auto src = source.AtEnd(sample.encoded.bytes.size());
    std::ranges::copy(sample.encoded.bytes, src.begin());
    damage.Apply(src, &chunk);
    const bool fits = IsSound(chunk) && PlaneStoredBytes(chunk) == src.size();
    if (IsSound(chunk) && !fits) continue;
    const auto dst = target.AtEnd(IsSound(chunk) ? ElemBytes(chunk) : 0);
    const PlaneFault fault = DecodeChunk(&cpu, chunk, src, dst);
    ++by_fault[static_cast<size_t>(fault)];
    if (fault == PlaneFault::kNone) {
      ASSERT_TRUE(std::ranges::equal(dst, sample.elems)) << "chunk " << i;
    }
    if (i % 64 != 0) continue;
    std::vector<const KernelTable*> others = {nullptr};
    if (std::endian::native == std::endian::little) {
      others.push_back(&CudaLanes());
    }
    for (const KernelTable* const table : others) {
      const auto to = std::span(other).first(dst.size());
      ASSERT_EQ(DecodeChunk(table, chunk, src, to), fault) << "chunk " << i;
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  for (uint32_t f = 0; f <= static_cast<uint32_t>(PlaneFault::kCrc); ++f) {
    std::printf("%12llu %s\n", static_cast<unsigned long long>(by_fault[f]),
                f == 0 ? "undone by a second edit"
                       : std::string(Name(static_cast<PlaneFault>(f))).c_str());
  }
}

}  // namespace
}  // namespace caisson
