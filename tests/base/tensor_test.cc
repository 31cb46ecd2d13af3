// SPDX-License-Identifier: Apache-2.0
#include "caisson/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kOverflow = std::numeric_limits<uint64_t>::max();
constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();
constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

TensorSpec SpecOf(DType dtype, std::vector<int64_t> shape) {
  return {"t", dtype, std::move(shape)};
}

// A view over a storage that has `bytes` bytes and no memory.
TensorView ViewOf(DType dtype, std::vector<int64_t> shape,
                  std::vector<int64_t> strides, uint64_t offset, size_t bytes) {
  TensorView view;
  view.spec = SpecOf(dtype, std::move(shape));
  view.strides = std::move(strides);
  view.offset = offset;
  view.storage = std::make_shared<Storage>();
  view.storage->region.bytes = bytes;
  return view;
}

TEST(TensorSpec, CountsElementsAndBytes) {
  EXPECT_EQ(SpecOf(DType::kFloat64, {}).elems(), 1u);
  EXPECT_EQ(SpecOf(DType::kFloat64, {}).bytes(), 8u);
  EXPECT_EQ(SpecOf(DType::kBFloat16, {3, 5}).bytes(), 30u);
  EXPECT_EQ(SpecOf(DType::kFloat32, {3, 0}).bytes(), 0u);
}

TEST(TensorSpec, RoundsPackedElementsUpToWholeBytes) {
  EXPECT_EQ(SpecOf(DType::kQUInt4x2, {3}).bytes(), 2u);
  EXPECT_EQ(SpecOf(DType::kQUInt2x4, {4}).bytes(), 1u);
  EXPECT_EQ(SpecOf(DType::kQUInt2x4, {5}).bytes(), 2u);
  EXPECT_EQ(SpecOf(DType::kFloat6E2M3, {4}).bytes(), 3u);
  EXPECT_EQ(SpecOf(DType::kFloat6E2M3, {9}).bytes(), 7u);
}

TEST(TensorSpec, AnswersOverflowWithTheLargestNumber) {
  EXPECT_EQ(SpecOf(DType::kUInt8, {-1}).elems(), kOverflow);
  EXPECT_EQ(SpecOf(DType::kUInt8, {-1}).bytes(), kOverflow);
  EXPECT_EQ(SpecOf(DType::kUInt8, {kMaxInt, 2}).elems(), kOverflow);
  EXPECT_EQ(SpecOf(DType::kUInt8, {kMaxInt}).bytes(),
            static_cast<uint64_t>(kMaxInt));
  EXPECT_EQ(SpecOf(DType::kFloat64, {int64_t{1} << 60}).bytes(),
            uint64_t{1} << 63)
      << "whose bits would overflow";
  EXPECT_EQ(SpecOf(DType::kFloat64, {int64_t{1} << 61}).bytes(), kOverflow);
  EXPECT_EQ(SpecOf(DType::kComplex128, {kMaxInt}).bytes(), kOverflow);
}

TEST(RowMajorStrides, AreThoseOfTorch) {
  EXPECT_THAT(RowMajorStrides({}), IsEmpty());
  EXPECT_THAT(RowMajorStrides({5}), ElementsAre(1));
  EXPECT_THAT(RowMajorStrides({2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(RowMajorStrides({2, 1, 4}), ElementsAre(4, 4, 1));
}

// torch.empty(0, 3).stride() is (3, 1), that of torch.empty(3, 0, 2) (2, 2, 1).
TEST(RowMajorStrides, CountAnEmptyDimensionAsOne) {
  EXPECT_THAT(RowMajorStrides({0}), ElementsAre(1));
  EXPECT_THAT(RowMajorStrides({0, 3}), ElementsAre(3, 1));
  EXPECT_THAT(RowMajorStrides({3, 0, 2}), ElementsAre(2, 2, 1));
  EXPECT_THAT(RowMajorStrides({4, 0, 0}), ElementsAre(1, 1, 1));
}

TEST(RowMajorStrides, StopAtTheLargestNumber) {
  const int64_t large = int64_t{1} << 40;
  EXPECT_THAT(RowMajorStrides({2, large, large, large}),
              ElementsAre(kMaxInt, kMaxInt, large, 1));
  const TensorView view =
      ViewOf(DType::kUInt8, {2, large, large, large},
             RowMajorStrides({2, large, large, large}), 0, 100);
  EXPECT_THAT(view.Validate(), StatusIs(kInvalid));
}

TEST(TensorView, KnowsWhetherItIsContiguous) {
  const auto contiguous = [](std::vector<int64_t> shape,
                             std::vector<int64_t> strides) {
    return ViewOf(DType::kUInt8, std::move(shape), std::move(strides), 0, 0)
        .contiguous();
  };
  EXPECT_TRUE(contiguous({}, {}));
  EXPECT_TRUE(contiguous({4}, {1}));
  EXPECT_TRUE(contiguous({2, 3}, {3, 1}));
  EXPECT_TRUE(contiguous({1, 3}, {777, 1})) << "a dimension of size 1";
  EXPECT_TRUE(contiguous({3, 1}, {1, 999}));
  EXPECT_TRUE(contiguous({3, 0}, {5, 7})) << "no elements";
  EXPECT_FALSE(contiguous({4}, {2}));
  EXPECT_FALSE(contiguous({4}, {0}));
  EXPECT_FALSE(contiguous({2, 3}, {1, 2})) << "transposed";
  EXPECT_FALSE(contiguous({2, 3}, {4, 1})) << "with gaps";
}

TEST(TensorView, IsNotContiguousWithoutAStrideForEachDimension) {
  EXPECT_FALSE(ViewOf(DType::kUInt8, {2, 3}, {}, 0, 6).contiguous());
}

TEST(TensorView, MayTouchTheLastByteAndNoneBeyond) {
  CAISSON_EXPECT_OK(ViewOf(DType::kFloat32, {2, 3}, {3, 1}, 4, 40).Validate());
  EXPECT_THAT(
      ViewOf(DType::kFloat32, {2, 3}, {3, 1}, 5, 40).Validate(),
      StatusIs(kInvalid, HasSubstr("needs 44 bytes of a storage that has 40")));
  EXPECT_THAT(ViewOf(DType::kFloat32, {2, 3}, {4, 1}, 4, 40).Validate(),
              StatusIs(kInvalid));
  CAISSON_EXPECT_OK(ViewOf(DType::kQUInt4x2, {7}, {1}, 0, 4).Validate());
  EXPECT_THAT(ViewOf(DType::kQUInt4x2, {9}, {1}, 0, 4).Validate(),
              StatusIs(kInvalid));
}

TEST(TensorView, MayRepeatAnElement) {
  CAISSON_EXPECT_OK(
      ViewOf(DType::kFloat32, {int64_t{1} << 40}, {0}, 9, 40).Validate());
}

TEST(TensorView, MayHaveAnyStrideWhereItHasNoElements) {
  CAISSON_EXPECT_OK(
      ViewOf(DType::kFloat32, {3, 0}, {kMaxInt, kMaxInt}, 0, 0).Validate());
  CAISSON_EXPECT_OK(ViewOf(DType::kFloat32, {0}, {1}, 1000, 0).Validate());
}

TEST(TensorView, RefusesGeometryThatIsNone) {
  TensorView view = ViewOf(DType::kUInt8, {2}, {1}, 0, 8);
  view.storage = nullptr;
  EXPECT_THAT(view.Validate(),
              StatusIs(kInvalid, HasSubstr("tensor 't': no storage")));
  const auto refused = [](std::vector<int64_t> shape,
                          std::vector<int64_t> strides, uint64_t offset = 0) {
    return ViewOf(DType::kInt64, std::move(shape), std::move(strides), offset,
                  80)
        .Validate();
  };
  EXPECT_THAT(refused({2, 2}, {1}),
              StatusIs(kInvalid, HasSubstr("2 sizes but 1 strides")));
  EXPECT_THAT(refused({2}, {1, 1}), StatusIs(kInvalid));
  EXPECT_THAT(refused({-1}, {1}),
              StatusIs(kInvalid, HasSubstr("negative size")));
  EXPECT_THAT(refused({0, -1}, {1, 1}), StatusIs(kInvalid));
  EXPECT_THAT(refused({2}, {-1}),
              StatusIs(kInvalid, HasSubstr("negative stride")));
  EXPECT_THAT(refused({0}, {-1}), StatusIs(kInvalid));
  EXPECT_THAT(refused({int64_t{1} << 62, 4}, {0, 0}), StatusIs(kInvalid));
  EXPECT_THAT(refused({3}, {kMaxInt}), StatusIs(kInvalid));
  EXPECT_THAT(refused({1}, {1}, kOverflow), StatusIs(kInvalid));
  EXPECT_THAT(refused({1}, {1}, kOverflow / 8), StatusIs(kInvalid));
}

TEST(TensorView, HasAtMost64Dimensions) {
  const std::vector<int64_t> ones(64, 1);
  CAISSON_EXPECT_OK(ViewOf(DType::kUInt8, ones, ones, 0, 1).Validate());
  const std::vector<int64_t> more(65, 1);
  EXPECT_THAT(ViewOf(DType::kUInt8, more, more, 0, 1).Validate(),
              StatusIs(kInvalid, HasSubstr("65 dimensions, at most 64")));
}

TEST(Storage, IsResidentWithMemoryOrWithoutBytes) {
  Storage storage;
  EXPECT_TRUE(storage.resident());
  storage.region.bytes = 4;
  EXPECT_FALSE(storage.resident());
  std::byte memory[4];
  storage.region.data = memory;
  EXPECT_TRUE(storage.resident());
}

TEST(DenseTensor, CoversItsStorage) {
  std::vector<float> data(6);
  const TensorView view = DenseTensor(DType::kFloat32, {2, 3}, data.data());
  CAISSON_EXPECT_OK(view.Validate());
  EXPECT_TRUE(view.contiguous());
  EXPECT_EQ(view.offset, 0u);
  EXPECT_EQ(view.storage->region.data,
            reinterpret_cast<std::byte*>(data.data()));
  EXPECT_EQ(view.storage->region.bytes, 24u);
  EXPECT_TRUE(view.storage->region.device.is_cpu());
  EXPECT_EQ(view.storage->dtype, DType::kFloat32);
  EXPECT_FALSE(view.requires_grad || view.conj || view.neg);
}

TEST(DenseTensor, TakesTheStorageClassOfTorchSave) {
  std::byte memory[64] = {};
  for (const DType dtype : AllDTypes()) {
    if (ByteWidth(dtype) == 0) continue;
    const TensorView view = DenseTensor(dtype, {2, 2}, memory);
    EXPECT_EQ(view.storage->dtype.has_value(),
              !TorchStorageClass(dtype).empty())
        << Name(dtype);
    CAISSON_EXPECT_OK(view.Validate());
  }
}

TEST(DenseTensor, KeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(4);
  const std::weak_ptr<std::vector<float>> watch = owner;
  float* data = owner->data();
  TensorView view = DenseTensor(DType::kFloat32, {4}, data, std::move(owner));
  const TensorView copy = view;
  view = TensorView();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(copy.storage->region.bytes, 16u);
}

// torch's 'cpu' is one object, so that a pickle spells it once.
TEST(DenseTensor, GivesEveryStorageTheSameLocation) {
  float value = 0;
  const TensorView a = DenseTensor(DType::kFloat32, {}, &value);
  const TensorView b = DenseTensor(DType::kFloat32, {}, &value);
  EXPECT_EQ(a.storage->location.str(), "cpu");
  EXPECT_TRUE(a.storage->location.same(b.storage->location));
}

}  // namespace
}  // namespace caisson
