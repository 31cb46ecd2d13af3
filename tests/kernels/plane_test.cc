// SPDX-License-Identifier: Apache-2.0
//
// Laws of the plane codec, on every table.
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "caisson/crc32.h"
#include "kernels/kernel_table.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/plane_data.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

struct Encoded {
  PlaneChunk chunk;
  Bytes bytes;

  bool operator==(const Encoded&) const = default;
};

class PlaneTest : public KernelTest {
 protected:
  Encoded Encode(std::span<const std::byte> src, PlaneType type) {
    Encoded encoded;
    PlaneEncodeJob job;
    job.src = src.data();
    job.type = type;
    job.elems = static_cast<uint32_t>(src.size() / TraitsOf(type).width);
    encoded.bytes.resize(PlaneBound(type, job.elems));
    job.dst = encoded.bytes.data();
    job.chunk = &encoded.chunk;
    Bytes scratch(kernels().plane_encode_bytes({&job, 1}));
    EXPECT_TRUE(
        kernels()
            .plane_encode({&job, 1}, {scratch.data(), scratch.size()}, {})
            .ok());
    EXPECT_LE(PlaneStoredBytes(encoded.chunk), encoded.bytes.size());
    encoded.bytes.resize(PlaneStoredBytes(encoded.chunk));
    return encoded;
  }

  PlaneFault Decode(const Encoded& encoded, Bytes* dst,
                    Stores stores = Stores::kCached) {
    PlaneFault fault = PlaneFault::kFields;
    PlaneDecodeJob job;
    job.src = encoded.bytes.data();
    job.chunk = encoded.chunk;
    job.dst = dst->data();
    job.fault = &fault;
    Bytes scratch(kernels().plane_decode_bytes({&job, 1}));
    EXPECT_TRUE(kernels()
                    .plane_decode(stores, {&job, 1},
                                  {scratch.data(), scratch.size()}, {})
                    .ok());
    return fault;
  }
};

TEST_P(PlaneTest, DecodesWhatItEncodes) {
  for (size_t t = 0; t < kPlaneTypes; ++t) {
    const auto type = static_cast<PlaneType>(t);
    for (size_t d = 0; d < kPlaneDataKinds; ++d) {
      const auto data = static_cast<PlaneData>(d);
      for (const uint32_t elems :
           {1u, 4095u, 4096u, 5000u, 8192u, 20000u, PlaneChunkElems(type)}) {
        const Bytes src = MakePlaneData(type, data, elems, elems + d);
        const Encoded encoded = Encode(src, type);
        SCOPED_TRACE(testing::Message()
                     << Name(type) << " " << Name(data) << " x " << elems);
        ASSERT_TRUE(IsSound(encoded.chunk));
        ASSERT_EQ(encoded.chunk.crc32, Crc32(0, src));
        Bytes back(src.size());
        ASSERT_EQ(Decode(encoded, &back), PlaneFault::kNone);
        ASSERT_TRUE(back == src);
        Bytes streamed(src.size());
        ASSERT_EQ(Decode(encoded, &streamed, Stores::kStreaming),
                  PlaneFault::kNone);
        ASSERT_TRUE(streamed == src);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTables, PlaneTest,
                         testing::ValuesIn(RunnableSimdTargets()), TableName);

}  // namespace
}  // namespace caisson
