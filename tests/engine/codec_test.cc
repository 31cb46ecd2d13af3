// SPDX-License-Identifier: Apache-2.0
#include "caisson/codec.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/compressed_case.h"

namespace caisson {
namespace {

using testing::HasSubstr;

ByteVector Compressed(Codec codec, DType dtype,
                      std::span<const std::byte> src) {
  ByteVector dst(Bound(codec, dtype, src.size()));
  const auto stored = Compress(codec, dtype, src, dst);
  EXPECT_THAT(stored.status(), IsOk());
  dst.resize(stored.has_value() ? *stored : 0);
  return dst;
}

TEST(Codec, GivesEveryLengthBack) {
  for (const Codec codec : {Codec::kDeflate, Codec::kPlane}) {
    for (const size_t elems : {0, 1, 5, 4096, 65536, 65537, 400000}) {
      const TensorView view = NormalTensor(
          DType::kFloat32, {static_cast<int64_t>(elems)}, elems + 1);
      const auto src = BytesOf(*view.storage);
      const ByteVector stored = Compressed(codec, DType::kFloat32, src);
      if (elems >= 65536) {
        EXPECT_LT(stored.size(), src.size() * 95 / 100);
      }
      ByteVector back(src.size());
      ASSERT_THAT(Decompress(codec, DType::kFloat32, stored, back), IsOk());
      EXPECT_TRUE(std::ranges::equal(back, src)) << elems;
    }
  }
}

TEST(Codec, NoiseFitsTheBound) {
  for (const Codec codec : {Codec::kDeflate, Codec::kPlane}) {
    for (const size_t bytes : {1, 100, 4096, 262144, 262145, 1000000}) {
      const ByteVector src = RandomBytes(bytes, bytes);
      const ByteVector stored = Compressed(codec, DType::kUInt8, src);
      ByteVector back(src.size());
      ASSERT_THAT(Decompress(codec, DType::kUInt8, stored, back), IsOk());
      EXPECT_EQ(back, src);
    }
  }
}

TEST(Codec, RefusesWhatDoesNotFit) {
  for (const Codec codec : {Codec::kDeflate, Codec::kPlane}) {
    const ByteVector src = RandomBytes(5000, 1);
    ByteVector small(100);
    EXPECT_THAT(Compress(codec, DType::kUInt8, src, small).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("100 bytes")));
    const ByteVector stored = Compressed(codec, DType::kUInt8, src);
    ByteVector back(4999);
    EXPECT_THAT(Decompress(codec, DType::kUInt8, stored, back),
                StatusIs(StatusCode::kCorrupt));
    ByteVector right(5000);
    for (size_t bytes = 0; bytes < stored.size(); bytes += 61) {
      EXPECT_FALSE(Decompress(codec, DType::kUInt8,
                              std::span(stored).first(bytes), right)
                       .ok());
    }
  }
  ByteVector odd(1000);
  EXPECT_THAT(
      Compress(Codec::kPlane, DType::kFloat32, std::span(odd).first(10), odd)
          .status(),
      StatusIs(StatusCode::kInvalidArgument));
}

TEST(Codec, APlaneRecordKnowsItsType) {
  const ByteVector src = RandomBytes(40000, 1);
  const ByteVector stored = Compressed(Codec::kPlane, DType::kFloat32, src);
  ByteVector back(src.size());
  EXPECT_THAT(Decompress(Codec::kPlane, DType::kInt32, stored, back),
              StatusIs(StatusCode::kCorrupt, HasSubstr("int32")));
}

}  // namespace
}  // namespace caisson
