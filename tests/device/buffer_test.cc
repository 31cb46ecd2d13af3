// SPDX-License-Identifier: Apache-2.0
#include "core/device/buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

bool StartsAtMultipleOf(const Buffer& buffer, size_t alignment) {
  return reinterpret_cast<uintptr_t>(buffer.data()) % alignment == 0;
}

TEST(Buffer, EverySizeIsExactPageAlignedAndWritable) {
  for (const size_t bytes :
       {size_t{1}, size_t{100}, PageBytes() - 1, PageBytes(), PageBytes() + 1,
        kHugePageBytes - 1, kHugePageBytes, kHugePageBytes + 1,
        3 * kHugePageBytes + 5}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer buffer, Buffer::Allocate(bytes));
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_EQ(buffer.bytes().size(), bytes);
    EXPECT_FALSE(buffer.empty());
    EXPECT_TRUE(StartsAtMultipleOf(buffer, PageBytes()));
    if (bytes >= kHugePageBytes) {
      EXPECT_TRUE(StartsAtMultipleOf(buffer, kHugePageBytes));
    }
    std::fill(buffer.bytes().begin(), buffer.bytes().end(), std::byte{0xA5});
  }
}

TEST(Buffer, NoBytesNeedNoMemory) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer buffer, Buffer::Allocate(0));
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.data(), nullptr);
  CAISSON_EXPECT_OK(TouchPages(buffer.bytes()));
}

TEST(Buffer, TooMuchIsOutOfMemoryAndNeverThrows) {
  constexpr auto kMax = std::numeric_limits<size_t>::max();
  for (const size_t bytes : {kMax, kMax - 1, kMax / 2, kMax / 2 + 1,
                             kMax / 2 - 2 * kHugePageBytes, kMax / 4}) {
    EXPECT_THAT(Buffer::Allocate(bytes),
                StatusIs(StatusCode::kOutOfMemory,
                         testing::HasSubstr(std::to_string(bytes))));
  }
}

TEST(Buffer, TheMovedFromBufferIsEmpty) {
  CAISSON_ASSERT_OK_AND_ASSIGN(Buffer first, Buffer::Allocate(10));
  CAISSON_ASSERT_OK_AND_ASSIGN(Buffer second, Buffer::Allocate(20));
  std::byte* const data = second.data();
  first = std::move(second);
  EXPECT_EQ(first.data(), data);
  EXPECT_EQ(first.size(), 20u);
  EXPECT_TRUE(second.empty());  // NOLINT: that is the question
  EXPECT_EQ(second.data(), nullptr);
  const Buffer third = std::move(first);
  EXPECT_EQ(third.data(), data);
  EXPECT_TRUE(first.empty());  // NOLINT
}

TEST(Buffer, TouchingKeepsTheContents) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer buffer,
                               Buffer::Allocate(kHugePageBytes + 12345));
  buffer.data()[0] = std::byte{1};
  buffer.bytes().back() = std::byte{2};
  CAISSON_ASSERT_OK(TouchPages(buffer.bytes()));
  CAISSON_ASSERT_OK(TouchPages(buffer.bytes().subspan(PageBytes(), 1)));
  EXPECT_EQ(buffer.data()[0], std::byte{1});
  EXPECT_EQ(buffer.bytes().back(), std::byte{2});
}

}  // namespace
}  // namespace caisson
