// SPDX-License-Identifier: Apache-2.0
#include "caisson/integer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/random_bytes.h"

namespace caisson {
namespace {

using std::string_literals::operator""s;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

Integer FromText(const std::string& bytes) {
  return Integer::FromTwosComplement(std::as_bytes(std::span(bytes)));
}

struct Known {
  int64_t value;
  std::string bytes;
};

TEST(Integer, HasTheShortestTwosComplementAtEveryBoundary) {
  const Known kCases[] = {
      {0, ""s},
      {1, "\x01"s},
      {-1, "\xff"s},
      {127, "\x7f"s},
      {128, "\x80\x00"s},
      {-128, "\x80"s},
      {-129, "\x7f\xff"s},
      {255, "\xff\x00"s},
      {256, "\x00\x01"s},
      {-256, "\x00\xff"s},
      {32767, "\xff\x7f"s},
      {32768, "\x00\x80\x00"s},
      {-32768, "\x00\x80"s},
      {65535, "\xff\xff\x00"s},
      {65536, "\x00\x00\x01"s},
      {INT64_C(2147483647), "\xff\xff\xff\x7f"s},
      {INT64_C(2147483648), "\x00\x00\x00\x80\x00"s},
      {INT64_C(-2147483648), "\x00\x00\x00\x80"s},
      {INT64_C(-2147483649), "\xff\xff\xff\x7f\xff"s},
      {kMax, "\xff\xff\xff\xff\xff\xff\xff\x7f"s},
      {kMin, "\x00\x00\x00\x00\x00\x00\x00\x80"s},
  };
  for (const Known& known : kCases) {
    const Integer integer(known.value);
    EXPECT_EQ(integer.ToTwosComplement(), known.bytes) << known.value;
    EXPECT_EQ(FromText(known.bytes), integer) << known.value;
    EXPECT_EQ(integer.ToInt64(), known.value);
    EXPECT_EQ(integer.ToString(), std::to_string(known.value));
    EXPECT_EQ(integer.negative(), known.value < 0);
  }
}

TEST(Integer, ReadsWhatIsLongerThanNeeded) {
  EXPECT_EQ(FromText("\x00"s), Integer(0));
  EXPECT_EQ(FromText(std::string(300, '\0')), Integer(0));
  EXPECT_EQ(FromText(std::string(300, '\xff')), Integer(-1));
  EXPECT_EQ(FromText("\x05"s + std::string(20, '\0')), Integer(5));
  EXPECT_EQ(FromText("\x80"s + std::string(20, '\xff')), Integer(-128));
  EXPECT_EQ(FromText("\x80"s + std::string(20, '\0')), Integer(128));
}

TEST(Integer, KeepsItsValueBeyond64Bits) {
  const Integer above = FromText("\0\0\0\0\0\0\0\x80\0"s);  // 2^63
  const Integer below = FromText("\xff\xff\xff\xff\xff\xff\xff\x7f\xff"s);
  const Integer two64 = FromText("\0\0\0\0\0\0\0\0\x01"s);
  EXPECT_EQ(above.ToInt64(), std::nullopt);
  EXPECT_EQ(above.ToString(), "9223372036854775808");
  EXPECT_FALSE(above.negative());
  EXPECT_EQ(below.ToInt64(), std::nullopt);
  EXPECT_EQ(below.ToString(), "-9223372036854775809");
  EXPECT_TRUE(below.negative());
  EXPECT_EQ(two64.ToString(), "18446744073709551616");
  EXPECT_FALSE(above == Integer(kMin));
  EXPECT_FALSE(above == below);
  EXPECT_EQ(above, FromText("\0\0\0\0\0\0\0\x80\0\0\0\0"s));
}

// Decimal digits, least significant first: multiply by 256 and add, as taught
// at school.
std::string SchoolbookDecimal(std::string bytes) {
  const bool negative =
      !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  if (negative) {
    size_t i = 0;
    for (char& byte : bytes) byte = static_cast<char>(~byte);
    while (i < bytes.size() && ++bytes[i] == 0) ++i;
    // The magnitude of -2^(8n-1) fills its bytes; it is read as unsigned.
  }
  std::vector<int> digits = {0};
  for (size_t i = bytes.size(); i-- > 0;) {
    int carry = static_cast<unsigned char>(bytes[i]);
    for (int& digit : digits) {
      const int value = 256 * digit + carry;
      digit = value % 10;
      carry = value / 10;
    }
    for (; carry != 0; carry /= 10) digits.push_back(carry % 10);
  }
  std::string text = negative ? "-" : "";
  for (size_t i = digits.size(); i-- > 0;) {
    text.push_back(static_cast<char>('0' + digits[i]));
  }
  return text;
}

TEST(Integer, AgreesWithSchoolbookArithmeticAtEverySize) {
  for (size_t bytes = 1; bytes <= 300; ++bytes) {
    const std::vector<std::byte> random = RandomBytes(bytes, bytes);
    std::string value(reinterpret_cast<const char*>(random.data()), bytes);
    for (const char top : {'\x01', '\x7f', '\x80', '\xfe', '\0', '\xff'}) {
      value.back() = top;
      EXPECT_EQ(FromText(value).ToString(), SchoolbookDecimal(value))
          << bytes << " bytes";
    }
    for (const std::string& extreme :
         {std::string(bytes - 1, '\0') + '\x80',
          std::string(bytes - 1, '\0') + '\x7f',
          std::string(bytes - 1, '\xff') + '\x80',
          std::string(bytes - 1, '\xff') + '\x7f'}) {
      EXPECT_EQ(FromText(extreme).ToString(), SchoolbookDecimal(extreme))
          << bytes << " bytes";
    }
  }
}

TEST(Integer, ComesBackFromTwosComplementAtEverySize) {
  for (size_t bytes = 1; bytes <= 300; ++bytes) {
    const std::vector<std::byte> random = RandomBytes(bytes, 1000 + bytes);
    std::string value(reinterpret_cast<const char*>(random.data()), bytes);
    for (const char top : {'\x01', '\x7f', '\x80', '\xfe'}) {
      value.back() = top;
      const Integer integer = FromText(value);
      EXPECT_EQ(integer.ToTwosComplement(), value) << bytes << " bytes";
      EXPECT_EQ(integer.negative(), (top & 0x80) != 0);
      // Repeating the sign changes nothing.
      const char fill = integer.negative() ? '\xff' : '\0';
      EXPECT_EQ(FromText(value + std::string(7, fill)), integer);
    }
  }
}

TEST(Integer, PrintsKnownPowersOfTwo) {
  const std::string two128 = std::string(16, '\0') + '\x01';
  EXPECT_EQ(FromText(two128).ToString(),
            "340282366920938463463374607431768211456");
  EXPECT_EQ(FromText(std::string(16, '\0') + '\xff').ToString(),
            "-340282366920938463463374607431768211456");
  // Zeros inside a group of nine digits: 10^18 * 2^64.
  const std::string shifted =
      std::string(8, '\0') + "\x00\x00\x64\xa7\xb3\xb6\xe0\x0d"s + '\0';
  EXPECT_EQ(FromText(shifted).ToString(),
            "18446744073709551616000000000000000000");
}

TEST(Integer, PrintsHexadecimalBeyond4096Bits) {
  const std::string last = std::string(511, '\xff') + '\x7f';
  EXPECT_EQ(FromText(last).ToString(), SchoolbookDecimal(last));
  const std::string least = std::string(511, '\0') + '\x80';
  EXPECT_EQ(FromText(least).ToString(), SchoolbookDecimal(least));
  const std::string beyond = std::string(512, '\0') + '\x01';
  EXPECT_EQ(FromText(beyond).ToString(), "0x1" + std::string(1024, '0'));
  const std::string below = std::string(512, '\0') + '\xff';
  EXPECT_EQ(FromText(below).ToString(), "-0x1" + std::string(1024, '0'));
  const std::string long_text =
      FromText(std::string(100000, '\x5a')).ToString();
  EXPECT_EQ(long_text.size(), 2 + 2 * 100000u);
}

}  // namespace
}  // namespace caisson
