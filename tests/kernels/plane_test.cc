// SPDX-License-Identifier: Apache-2.0
//
// Laws of the plane codec, on every table: what is decoded is what was encoded,
// and all tables make the bytes that the plain coder makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "caisson/crc32.h"
#include "kernels/kernel_table.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/plane_chunks.h"
#include "tests/support/plane_data.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

class PlaneTest : public KernelTest {
 protected:
  // Every law for one chunk.
  void ExpectLaws(std::span<const std::byte> src, PlaneType type) {
    const EncodedChunk encoded = EncodeChunk(&kernels(), src, type);
    ASSERT_TRUE(IsSound(encoded.chunk));
    ASSERT_EQ(encoded.chunk.crc32, Crc32(0, src));
    ASSERT_TRUE(encoded == EncodeChunk(nullptr, src, type));
    Bytes back(src.size());
    ASSERT_EQ(DecodeChunk(&kernels(), encoded.chunk, encoded.bytes, back),
              PlaneFault::kNone);
    ASSERT_TRUE(std::ranges::equal(back, src));
  }
};

TEST_P(PlaneTest, HoldsItsLawsForEveryTypeAndDistribution) {
  for (size_t t = 0; t < kPlaneTypes; ++t) {
    const auto type = static_cast<PlaneType>(t);
    for (size_t d = 0; d < kPlaneDataKinds; ++d) {
      const auto data = static_cast<PlaneData>(d);
      for (const uint32_t elems :
           {1u, 4095u, 4096u, 5000u, 8193u, PlaneChunkElems(type)}) {
        SCOPED_TRACE(testing::Message()
                     << Name(type) << " " << Name(data) << " x " << elems);
        ExpectLaws(MakePlaneData(type, data, elems, elems + d), type);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// The last element of a tensor of 65 537 is a chunk of its own.
TEST_P(PlaneTest, CodesATensorOf65537ElementsInOneBatch) {
  const auto type = PlaneType::kBFloat16;
  constexpr size_t kElems = 65537;
  const Bytes src = MakePlaneData(type, PlaneData::kNormal, kElems, 1);
  Bytes coded(src.size() + 64);
  PlaneChunk chunks[2];
  const std::vector<PlaneEncodeJob> jobs = {
      {src.data(), type, 65536, coded.data(), &chunks[0]},
      {src.data() + 131072, type, 1, coded.data() + 131072, &chunks[1]}};
  Bytes scratch(kernels().plane_encode_bytes(jobs));
  const Workspace for_encode = {scratch.data(), scratch.size()};
  CAISSON_ASSERT_OK(kernels().plane_encode(jobs, for_encode, {}));
  EXPECT_EQ(chunks[0].mode, PlaneMode::kR16);
  EXPECT_EQ(chunks[1].mode, PlaneMode::kConst);

  Bytes back(src.size());
  PlaneFault faults[2] = {PlaneFault::kFields, PlaneFault::kFields};
  const std::vector<PlaneDecodeJob> decode = {
      {coded.data(), chunks[0], back.data(), &faults[0]},
      {coded.data() + 131072, chunks[1], back.data() + 131072, &faults[1]}};
  scratch.resize(kernels().plane_decode_bytes(decode));
  const Workspace for_decode = {scratch.data(), scratch.size()};
  CAISSON_ASSERT_OK(kernels().plane_decode(decode, for_decode, {}));
  EXPECT_EQ(faults[0], PlaneFault::kNone);
  EXPECT_EQ(faults[1], PlaneFault::kNone);
  EXPECT_EQ(back, src);
}

TEST_P(PlaneTest, ReadsAndWritesNothingBesideAChunk) {
  const auto type = PlaneType::kFloat32;
  for (const uint32_t elems : {4096u, 5001u, 20000u}) {
    const Bytes made = MakePlaneData(type, PlaneData::kNormal, elems, elems);
    const GuardedBuffer source(made.size());
    const GuardedBuffer coded(made.size());
    const GuardedBuffer target(made.size());
    const auto src = source.AtEnd(made.size());
    std::ranges::copy(made, src.begin());
    const EncodedChunk encoded = EncodeChunk(&kernels(), src, type);
    const auto stored = coded.AtEnd(encoded.bytes.size());
    std::ranges::copy(encoded.bytes, stored.begin());
    for (const auto dst :
         {target.AtStart(made.size()), target.AtEnd(made.size())}) {
      ASSERT_EQ(DecodeChunk(&kernels(), encoded.chunk, stored, dst),
                PlaneFault::kNone);
      ASSERT_TRUE(std::ranges::equal(dst, made));
    }
  }
}

TEST_P(PlaneTest, RefusesANumberOfElementsThatNoChunkHas) {
  Bytes memory(16);
  PlaneChunk chunk;
  for (const uint32_t elems : {0u, 65537u}) {
    const PlaneEncodeJob job = {memory.data(), PlaneType::kBFloat16, elems,
                                memory.data(), &chunk};
    EXPECT_THAT(kernels().plane_encode({&job, 1}, {}, {}),
                StatusIs(StatusCode::kInvalidArgument,
                         testing::HasSubstr("job 0: a chunk has 1 to 65536")));
  }
}

INSTANTIATE_TEST_SUITE_P(AllTables, PlaneTest,
                         testing::ValuesIn(RunnableTables()), TableName);

// The sizes that performance.md asks for, as laws of the format.
TEST(PlaneSizes, AreNearTheEntropy) {
  const struct {
    PlaneType type;
    PlaneData data;
    double most;
  } kCases[] = {{PlaneType::kBFloat16, PlaneData::kNormal, 0.666},
                {PlaneType::kFloat32, PlaneData::kNormal, 0.834},
                {PlaneType::kFloat32, PlaneData::kCoarse, 0.334},
                {PlaneType::kFloat64, PlaneData::kNormal, 0.88}};
  for (const auto& each : kCases) {
    const Bytes src = MakePlaneData(each.type, each.data, 65536, 1);
    const EncodedChunk encoded = EncodeChunk(nullptr, src, each.type);
    EXPECT_LE(static_cast<double>(encoded.bytes.size()),
              each.most * static_cast<double>(src.size()))
        << Name(each.type) << " " << Name(each.data);
  }
}

}  // namespace
}  // namespace caisson
