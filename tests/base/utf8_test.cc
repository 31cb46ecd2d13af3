// SPDX-License-Identifier: Apache-2.0
#include "core/base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "caisson/text.h"

namespace caisson {
namespace {

using std::string_literals::operator""s;

// RFC 3629, section 3, with no opinion on surrogates.
std::string Encoded(uint32_t point) {
  const auto trail = [](uint32_t bits) {
    return static_cast<char>(0x80 | (bits & 0x3f));
  };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800)
    return {static_cast<char>(0xc0 | point >> 6), trail(point)};
  if (point < 0x10000) {
    return {static_cast<char>(0xe0 | point >> 12), trail(point >> 6),
            trail(point)};
  }
  return {static_cast<char>(0xf0 | point >> 18), trail(point >> 12),
          trail(point >> 6), trail(point)};
}

TEST(Utf8, AcceptsEveryCodePointSurrogatesIncluded) {
  for (uint32_t point = 0; point <= 0x10ffff; ++point) {
    ASSERT_TRUE(IsUtf8SurrogatePass(Encoded(point))) << point;
  }
  EXPECT_TRUE(IsUtf8SurrogatePass(""));
}

TEST(Utf8, RefusesCodePointsBeyondTheLast) {
  for (const uint32_t point : {0x110000u, 0x13ffffu, 0x1fffffu}) {
    EXPECT_FALSE(IsUtf8SurrogatePass(Encoded(point))) << point;
  }
}

// Decodes byte by byte and re-encodes: a sequence is well formed exactly if
// that gives the same bytes.
bool IsOneEncodedPoint(const std::string& bytes) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(bytes[i]);
  };
  uint32_t point = byte(0);
  if (bytes.size() == 2) point &= 0x1f;
  if (bytes.size() == 3) point &= 0x0f;
  if (bytes.size() == 4) point &= 0x07;
  for (size_t i = 1; i < bytes.size(); ++i) {
    point = point << 6 | (byte(i) & 0x3f);
  }
  return point <= 0x10ffff && Encoded(point) == bytes;
}

TEST(Utf8, JudgesEveryPairOfBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string bytes = {static_cast<char>(first),
                                 static_cast<char>(second)};
      const bool valid = (first < 0x80 && second < 0x80) ||
                         (first >= 0xc0 && IsOneEncodedPoint(bytes));
      EXPECT_EQ(IsUtf8SurrogatePass(bytes), valid) << first << " " << second;
    }
  }
}

TEST(Utf8, JudgesEveryThreeByteSequenceFromE0) {
  for (int first = 0xe0; first < 0x100; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (const int third : {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff}) {
        const std::string bytes = {static_cast<char>(first),
                                   static_cast<char>(second),
                                   static_cast<char>(third)};
        EXPECT_EQ(IsUtf8SurrogatePass(bytes),
                  first < 0xf0 && IsOneEncodedPoint(bytes))
            << first << " " << second << " " << third;
      }
    }
  }
}

TEST(Utf8, RefusesMalformedText) {
  const std::string_view kBad[] = {
      "\x80",              // a trail byte alone
      "\xc2",              // cut
      "\xe2\x82",          // cut
      "\xf0\x9f\x98",      // cut
      "\xc0\x80",          // overlong NUL
      "\xc1\xbf",          // overlong
      "\xe0\x9f\xbf",      // overlong
      "\xf0\x8f\xbf\xbf",  // overlong
      "\xf4\x90\x80\x80",  // beyond U+10FFFF
      "\xf5\x80\x80\x80",  // beyond U+10FFFF
      "\xff",
      "ab\xc3(",
      "\xc3\xa9\xc3",
  };
  for (const std::string_view text : kBad) {
    EXPECT_FALSE(IsUtf8SurrogatePass(text)) << testing::PrintToString(text);
  }
}

TEST(Utf8, AcceptsLongAndMixedText) {
  std::string text;
  for (uint32_t point = 1; point < 0x10ffff; point = 3 * point + 1) {
    text += Encoded(point);
  }
  text += std::string(100, 'x');
  text.push_back('\0');
  EXPECT_TRUE(IsUtf8SurrogatePass(text));
}

TEST(Utf8, TurnsEveryByteIntoTextAndBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const std::string text = Latin1ToUtf8(bytes);
  EXPECT_EQ(text.size(), 128u + 2 * 128u);
  EXPECT_TRUE(IsUtf8SurrogatePass(text));
  std::string back = "stale";
  EXPECT_TRUE(Utf8ToLatin1(text, &back));
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(Latin1ToUtf8(""), "");
  EXPECT_TRUE(Utf8ToLatin1("", &back));
  EXPECT_EQ(back, "");
  EXPECT_EQ(Latin1ToUtf8("\xe9\xff"), "\xc3\xa9\xc3\xbf");
}

TEST(Utf8, FindsWhatHasNoLatin1) {
  std::string bytes;
  EXPECT_FALSE(Utf8ToLatin1("\xc4\x80", &bytes)) << "U+0100";
  EXPECT_FALSE(Utf8ToLatin1("\xe2\x82\xac", &bytes)) << "U+20AC";
  EXPECT_FALSE(Utf8ToLatin1("a\xc3", &bytes)) << "cut";
  EXPECT_FALSE(Utf8ToLatin1("\xc3(", &bytes)) << "no trail byte";
  EXPECT_FALSE(Utf8ToLatin1("\x80", &bytes)) << "a trail byte alone";
  EXPECT_FALSE(Utf8ToLatin1("\xc1\x81", &bytes)) << "overlong";
}

TEST(Text, KnowsContentFromIdentity) {
  const Text a = "name";
  const Text copy = a;
  const Text equal = "name"s;
  EXPECT_TRUE(a.same(copy));
  EXPECT_EQ(a.identity(), copy.identity());
  EXPECT_FALSE(a.same(equal));
  EXPECT_EQ(a, equal);
  EXPECT_EQ(a.hash(), equal.hash());
  EXPECT_FALSE(a == Text("other"));
  EXPECT_EQ(Text().str(), "");
  EXPECT_EQ(Text("a\0b"s).str().size(), 3u);
}

}  // namespace
}  // namespace caisson
