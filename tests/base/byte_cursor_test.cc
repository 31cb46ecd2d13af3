// SPDX-License-Identifier: Apache-2.0
#include "core/base/byte_cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/byte_source.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(ByteCursor, TakesWhatIsThereAndNothingElse) {
  ByteCursor cursor(AsBytes("abcdef"));
  ASSERT_TRUE(cursor.Take(2));
  EXPECT_EQ(cursor.offset(), 2u);
  EXPECT_EQ(cursor.left(), 4u);
  EXPECT_FALSE(cursor.Take(5));
  EXPECT_FALSE(cursor.Take(std::numeric_limits<uint64_t>::max()));
  EXPECT_EQ(cursor.offset(), 2u);
  const auto rest = cursor.Take(4);
  ASSERT_TRUE(rest);
  EXPECT_EQ(static_cast<char>((*rest)[0]), 'c');
  EXPECT_EQ(cursor.left(), 0u);
  EXPECT_TRUE(cursor.Take(0));
  EXPECT_FALSE(cursor.Take(1));
}

TEST(ByteCursor, TakesLittleEndianIntegers) {
  ByteCursor cursor(AsBytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09"));
  EXPECT_EQ(cursor.TakeLittle<uint8_t>(), 0x01);
  EXPECT_EQ(cursor.TakeLittle<uint16_t>(), 0x0302);
  EXPECT_EQ(cursor.TakeLittle<uint32_t>(), 0x07060504u);
  EXPECT_EQ(cursor.TakeLittle<uint32_t>(), std::nullopt);
  EXPECT_EQ(cursor.TakeLittle<uint16_t>(), 0x0908);
  EXPECT_EQ(cursor.TakeLittle<uint8_t>(), std::nullopt);
}

TEST(ByteCursor, TakesLinesAndMovesOnlyPastWholeOnes) {
  ByteCursor cursor(AsBytes("ab\n\nrest"));
  EXPECT_EQ(cursor.TakeLine(), "ab");
  EXPECT_EQ(cursor.TakeLine(), "");
  EXPECT_EQ(cursor.offset(), 4u);
  EXPECT_EQ(cursor.TakeLine(), std::nullopt);
  EXPECT_EQ(cursor.offset(), 4u);
  ByteCursor nothing({});
  EXPECT_EQ(nothing.TakeLine(), std::nullopt);
  EXPECT_EQ(nothing.TakeLittle<uint8_t>(), std::nullopt);
}

TEST(ByteCursor, ReadsNoByteBeyondTheLast) {
  const GuardedBuffer buffer(64);
  for (size_t bytes = 0; bytes <= 40; ++bytes) {
    const auto input = buffer.AtEnd(bytes);
    std::ranges::fill(input, std::byte{'x'});
    ByteCursor cursor(input);
    EXPECT_EQ(cursor.TakeLine(), std::nullopt);
    while (cursor.TakeLittle<uint64_t>()) {
    }
    while (cursor.TakeLittle<uint8_t>()) {
    }
    EXPECT_EQ(cursor.left(), 0u);
  }
}

// Gives bytes one at a time, then whatever the test says.
class ScriptedAdapter : public ReadAdapter {
 public:
  ScriptedAdapter(std::string content, uint64_t size)
      : content_(std::move(content)), size_(size) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (answer_) return *answer_;
    if (offset >= content_.size()) return size_t{0};
    dst[0] = static_cast<std::byte>(content_[offset]);
    return size_t{1};
  }

  void AnswerAlways(Result<size_t> answer) { answer_ = std::move(answer); }

 private:
  std::string name_ = "a.pt";
  std::string content_;
  uint64_t size_;
  std::optional<Result<size_t>> answer_;
};

std::string ReadText(const ByteSource& source, uint64_t offset, size_t bytes) {
  std::string text(bytes, '?');
  const Status status = source.ReadExact(
      offset, std::as_writable_bytes(std::span(text)), "header");
  return status.ok() ? text : status.ToString();
}

TEST(ByteSource, CountsFromItsStart) {
  const auto memory =
      std::make_shared<MemoryAdapter>(AsBytes("abcdef"), "a.pt");
  EXPECT_EQ(ByteSource(memory).size(), 6u);
  EXPECT_EQ(ReadText(ByteSource(memory), 1, 2), "bc");
  const ByteSource late(memory, 2);
  EXPECT_EQ(late.size(), 4u);
  EXPECT_EQ(ReadText(late, 0, 4), "cdef");
  EXPECT_EQ(ReadText(late, 4, 0), "");
  EXPECT_EQ(ByteSource(memory, 6).size(), 0u);
}

TEST(ByteSource, RefusesToReadPastItsEnd) {
  const ByteSource source(
      std::make_shared<MemoryAdapter>(AsBytes("abcdef"), "a.pt"), 2);
  EXPECT_EQ(ReadText(source, 1, 4),
            "corrupt: a.pt: header at 1: needs 4 bytes, the file has 4");
  EXPECT_THAT(ReadText(source, 5, 0), HasSubstr("header at 5"));
  EXPECT_THAT(ReadText(source, std::numeric_limits<uint64_t>::max(), 1),
              HasSubstr("header at 18446744073709551615"));
}

TEST(ByteSource, AsksAgainAfterAShortRead) {
  const auto adapter = std::make_shared<ScriptedAdapter>("abcdef", 6);
  EXPECT_EQ(ReadText(ByteSource(adapter), 0, 6), "abcdef");
}

TEST(ByteSource, ReportsAFileThatEndsBeforeItsSize) {
  const auto adapter = std::make_shared<ScriptedAdapter>("abc", 6);
  EXPECT_THAT(ReadText(ByteSource(adapter), 0, 6),
              AllOf(HasSubstr("corrupt"), HasSubstr("header at 3"),
                    HasSubstr("ended early")));
}

TEST(ByteSource, PassesErrorsOnAndTrustsNoCount) {
  const auto adapter = std::make_shared<ScriptedAdapter>("abc", 6);
  adapter->AnswerAlways(Status::Io("a.pt: no luck"));
  EXPECT_EQ(ReadText(ByteSource(adapter), 0, 3), "i/o error: a.pt: no luck");
  adapter->AnswerAlways(size_t{4});
  EXPECT_THAT(
      ReadText(ByteSource(adapter), 0, 3),
      HasSubstr("i/o error: a.pt: the adapter returned 4 bytes, asked for 3"));
}

}  // namespace
}  // namespace caisson
