// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "caisson/dtype.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

constexpr size_t kMostElems = 300;  // past four vectors of 2-byte elements

using Bytes = std::vector<std::byte>;

// A type whose elements are one unit of `width` bytes.
DType IntOf(size_t width) {
  return width == 2   ? DType::kInt16
         : width == 4 ? DType::kInt32
                      : DType::kInt64;
}

Bytes Swapped(std::span<const std::byte> bytes, size_t width) {
  Bytes result(bytes.begin(), bytes.end());
  for (size_t i = 0; i < result.size(); i += width) {
    std::reverse(result.begin() + i, result.begin() + i + width);
  }
  return result;
}

class ByteSwapTest : public KernelTest {
 protected:
  Status Swap(std::span<const std::byte> src, std::span<std::byte> dst,
              size_t width) {
    const DType dtype = IntOf(width);
    const Step step = {.op = Op::kByteSwap, .from = dtype, .to = dtype};
    const Job job = {
        .src = src.data(), .dst = dst.data(), .elems = src.size() / width};
    return kernels().transform(step, {&job, 1}, {}, {});
  }
};

TEST_P(ByteSwapTest, SwapsOneElementOfEachWidth) {
  const auto bytes = [](std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) result.push_back(std::byte(value));
    return result;
  };
  for (const size_t width : {2, 4, 8}) {
    Bytes element = bytes({1, 2, 3, 4, 5, 6, 7, 8});
    element.resize(width);
    CAISSON_ASSERT_OK(Swap(element, element, width));
    EXPECT_EQ(element, width == 2   ? bytes({2, 1})
                       : width == 4 ? bytes({4, 3, 2, 1})
                                    : bytes({8, 7, 6, 5, 4, 3, 2, 1}));
  }
}

TEST_P(ByteSwapTest, SwapsEveryLengthBetweenGuards) {
  const GuardedBuffer source(kMostElems * 8);
  const GuardedBuffer target(kMostElems * 8);
  FillRandom(source.all(), 1);
  for (const size_t width : {2, 4, 8}) {
    for (size_t elems = 0; elems <= kMostElems; ++elems) {
      const size_t bytes = elems * width;
      const auto src = source.AtEnd(bytes);
      const Bytes expected = Swapped(src, width);
      for (const auto dst : {target.AtStart(bytes), target.AtEnd(bytes)}) {
        CAISSON_ASSERT_OK(Swap(src, dst, width));
        ASSERT_EQ(Bytes(dst.begin(), dst.end()), expected)
            << elems << " x " << width << " bytes";
      }
    }
  }
}

TEST_P(ByteSwapTest, SwapsAtEveryAlignmentInPlaceAndTouchesNothingElse) {
  const Bytes before = RandomBytes(64 + 128 + 64, 2);
  for (const size_t width : {2, 4, 8}) {
    for (size_t offset = 0; offset < 64; ++offset) {
      Bytes memory = before;
      const auto payload = std::span(memory).subspan(offset, 128);
      Bytes expected = before;
      const Bytes swapped = Swapped(payload, width);
      std::copy(swapped.begin(), swapped.end(), expected.begin() + offset);
      CAISSON_ASSERT_OK(Swap(payload, payload, width));
      ASSERT_EQ(memory, expected) << width << " bytes at " << offset;
    }
  }
}

TEST_P(ByteSwapTest, TwiceIsTheIdentity) {
  const Bytes before = RandomBytes((size_t{1} << 20) + 8, 3);
  for (const size_t width : {2, 4, 8}) {
    Bytes memory = before;
    CAISSON_ASSERT_OK(Swap(memory, memory, width));
    EXPECT_NE(memory, before);
    CAISSON_ASSERT_OK(Swap(memory, memory, width));
    EXPECT_EQ(memory, before);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTables, ByteSwapTest,
                         testing::ValuesIn(RunnableTables()), TableName);

}  // namespace
}  // namespace caisson
