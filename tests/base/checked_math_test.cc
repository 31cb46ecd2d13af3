// SPDX-License-Identifier: Apache-2.0
#include "core/base/checked_math.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace caisson {
namespace {

using Ints = std::vector<int64_t>;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

TEST(CheckedMath, AddsUpToTheLargestSum) {
  EXPECT_EQ(CheckedAdd(0, 0), 0u);
  EXPECT_EQ(CheckedAdd(kMax, 0), kMax);
  EXPECT_EQ(CheckedAdd(kMax - 5, 5), kMax);
  EXPECT_EQ(CheckedAdd(kMax - 5, 6), std::nullopt);
  EXPECT_EQ(CheckedAdd(kMax, kMax), std::nullopt);
}

TEST(CheckedMath, MultipliesUpToTheLargestProduct) {
  EXPECT_EQ(CheckedMul(0, kMax), 0u);
  EXPECT_EQ(CheckedMul(1, kMax), kMax);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1),
            kMax - (uint64_t{1} << 32) + 1);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(CheckedMul(kMax, 2), std::nullopt);
}

TEST(CheckedMath, FitsOnlyWhatEndsInside) {
  EXPECT_TRUE(FitsWithin(0, 0, 0));
  EXPECT_TRUE(FitsWithin(10, 0, 10));
  EXPECT_TRUE(FitsWithin(4, 6, 10));
  EXPECT_FALSE(FitsWithin(4, 7, 10));
  EXPECT_FALSE(FitsWithin(11, 0, 10));
  EXPECT_FALSE(FitsWithin(kMax, 2, kMax));
  EXPECT_FALSE(FitsWithin(2, kMax, kMax));
  EXPECT_TRUE(FitsWithin(1, kMax - 1, kMax));
}

TEST(CheckedMath, CountsTheElementsOfAShape) {
  EXPECT_EQ(CheckedElems(Ints{}), 1u);
  EXPECT_EQ(CheckedElems(Ints{0}), 0u);
  EXPECT_EQ(CheckedElems(Ints{2, 3, 4}), 24u);
  EXPECT_EQ(CheckedElems(Ints{2, 0, 4}), 0u);
  EXPECT_EQ(CheckedElems(Ints{kMaxInt}), static_cast<uint64_t>(kMaxInt));
}

TEST(CheckedMath, RefusesShapesWithoutANumberOfElements) {
  EXPECT_EQ(CheckedElems(Ints{-1}), std::nullopt);
  EXPECT_EQ(CheckedElems(Ints{0, -1}), std::nullopt);
  EXPECT_EQ(CheckedElems(Ints{-1, 0}), std::nullopt);
  EXPECT_EQ(CheckedElems(Ints{kMaxInt, 2}), std::nullopt);
  EXPECT_EQ(CheckedElems(Ints{int64_t{1} << 62, 2}), std::nullopt);
  // A dimension of 0 hides no overflow, wherever it stands.
  EXPECT_EQ(CheckedElems(Ints{int64_t{1} << 62, 4, 0}), std::nullopt);
  EXPECT_EQ(CheckedElems(Ints{0, int64_t{1} << 62, 4}), std::nullopt);
}

TEST(CheckedMath, FindsTheExtentOfAView) {
  EXPECT_EQ(CheckedExtent(0, Ints{}, Ints{}), 1u);
  EXPECT_EQ(CheckedExtent(7, Ints{}, Ints{}), 8u);
  EXPECT_EQ(CheckedExtent(0, Ints{2, 3}, Ints{3, 1}), 6u);
  EXPECT_EQ(CheckedExtent(2, Ints{3}, Ints{2}), 7u);
  EXPECT_EQ(CheckedExtent(5, Ints{100}, Ints{0}), 6u);
  EXPECT_EQ(CheckedExtent(0, Ints{1}, Ints{kMaxInt}), 1u);
}

TEST(CheckedMath, GivesAViewWithoutElementsTheExtentOfItsOffset) {
  EXPECT_EQ(CheckedExtent(0, Ints{0}, Ints{1}), 0u);
  EXPECT_EQ(CheckedExtent(9, Ints{2, 0}, Ints{1000, 5}), 9u);
  // No stride is too far for what touches nothing.
  EXPECT_EQ(CheckedExtent(9, Ints{3, 0}, Ints{kMaxInt, kMaxInt}), 9u);
  EXPECT_EQ(CheckedExtent(kMax, Ints{0}, Ints{1}), kMax);
}

TEST(CheckedMath, RefusesExtentsThatWrapOrMakeNoSense) {
  EXPECT_EQ(CheckedExtent(0, Ints{2}, Ints{}), std::nullopt);
  EXPECT_EQ(CheckedExtent(0, Ints{}, Ints{2}), std::nullopt);
  EXPECT_EQ(CheckedExtent(0, Ints{-1}, Ints{1}), std::nullopt);
  EXPECT_EQ(CheckedExtent(0, Ints{1}, Ints{-1}), std::nullopt);
  EXPECT_EQ(CheckedExtent(kMax, Ints{}, Ints{}), std::nullopt);
  EXPECT_EQ(CheckedExtent(kMax - 1, Ints{2}, Ints{1}), std::nullopt);
  EXPECT_EQ(CheckedExtent(0, Ints{kMaxInt}, Ints{3}), std::nullopt);
}

}  // namespace
}  // namespace caisson
