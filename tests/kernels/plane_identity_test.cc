// SPDX-License-Identifier: Apache-2.0
//
// Ten thousand chunks of every type, distribution and many sizes: all SIMD
// targets and CUDA's lanes make the bytes that the plain coder makes, and
// decode them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/cpu/targets.h"
#include "kernels/kernel_table.h"
#include "tests/support/cuda_lanes.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/plane_chunks.h"
#include "tests/support/plane_data.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int kChunks = 10'000;

// Few are large, as those take long; some are one element, some whole.
uint32_t Elems(std::mt19937& random, PlaneType type) {
  switch (random() % 64) {
    case 0:
      return 1;
    case 1:
      return 1 + random() % 4096;
    case 2:
      return PlaneChunkElems(type);
    case 3:
      return 1 + random() % PlaneChunkElems(type);
    default:
      return 4096 + random() % 1500;
  }
}

void ExpectSame(const KernelTable& table, const EncodedChunk& plain,
                const Bytes& src) {
  ASSERT_TRUE(EncodeChunk(&table, src, plain.chunk.type) == plain);
  Bytes back(src.size());
  ASSERT_EQ(DecodeChunk(&table, plain.chunk, plain.bytes, back),
            PlaneFault::kNone);
  ASSERT_TRUE(back == src);
}

TEST(PlaneIdentity, HoldsForTenThousandChunks) {
  const KernelTable& cpu = **KernelsFor(Device::Cpu());
  std::mt19937 random(1);
  for (int i = 0; i < kChunks; ++i) {
    const auto type = static_cast<PlaneType>(i % kPlaneTypes);
    const auto data = static_cast<PlaneData>(i / 10 % kPlaneDataKinds);
    const Bytes src = MakePlaneData(type, data, Elems(random, type), random());
    const EncodedChunk plain = EncodeChunk(nullptr, src, type);
    SCOPED_TRACE(testing::Message()
                 << "chunk " << i << ": " << Name(type) << " " << Name(data)
                 << " x " << plain.chunk.elems);
    for (const cpu::SimdTarget& target : cpu::SimdTargets()) {
      SCOPED_TRACE(target.name);
      hwy::SetSupportedTargetsForTest(target.bit);
      ExpectSame(cpu, plain, src);
      hwy::SetSupportedTargetsForTest(0);
      if (HasFatalFailure()) return;
    }
    if (std::endian::native != std::endian::little) continue;
    ExpectSame(CudaLanes(), plain, src);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace caisson
