// SPDX-License-Identifier: Apache-2.0
#include "caisson/integer.h"

#include <algorithm>
#include <vector>

#include "core/base/endian.h"

namespace caisson {
namespace {

constexpr size_t kMaxDecimalBytes = 512;

bool SignBit(char byte) {
  return (static_cast<unsigned char>(byte) & 0x80) != 0;
}

// Drops the high bytes that only repeat the sign.
void Shorten(std::string& bytes) {
  while (!bytes.empty()) {
    const bool sign = bytes.size() > 1 && SignBit(bytes[bytes.size() - 2]);
    const char fill = sign ? '\xff' : '\0';
    if (bytes.back() != fill) break;
    bytes.pop_back();
  }
}

std::string Magnitude(const std::string& twos_complement, bool negative) {
  std::string bytes = twos_complement;
  if (!negative) return bytes;
  int carry = 1;
  for (char& byte : bytes) {
    const int sum = (~static_cast<unsigned char>(byte) & 0xff) + carry;
    byte = static_cast<char>(sum & 0xff);
    carry = sum >> 8;
  }
  return bytes;
}

std::string Hex(const std::string& magnitude) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = magnitude.size(); i-- > 0;) {
    const auto byte = static_cast<unsigned char>(magnitude[i]);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  const size_t first = std::min(text.find_first_not_of('0'), text.size() - 1);
  return "0x" + text.substr(first);
}

// Divides by 10^9 again and again: quadratic, hence kMaxDecimalBytes.
std::string Decimal(const std::string& magnitude) {
  std::vector<uint32_t> limbs((magnitude.size() + 3) / 4);
  for (size_t i = 0; i < magnitude.size(); ++i) {
    const uint32_t byte = static_cast<unsigned char>(magnitude[i]);
    limbs[i / 4] |= byte << (8 * (i % 4));
  }
  std::string text;
  while (!limbs.empty()) {
    uint64_t rest = 0;
    for (size_t i = limbs.size(); i-- > 0;) {
      const uint64_t part = rest << 32 | limbs[i];
      limbs[i] = static_cast<uint32_t>(part / 1'000'000'000);
      rest = part % 1'000'000'000;
    }
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
    for (int digit = 0; digit < 9 && (rest != 0 || !limbs.empty()); ++digit) {
      text.push_back(static_cast<char>('0' + rest % 10));
      rest /= 10;
    }
  }
  std::reverse(text.begin(), text.end());
  return text.empty() ? "0" : text;
}

}  // namespace

Integer Integer::FromTwosComplement(std::span<const std::byte> bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Shorten(text);
  Integer integer;
  if (text.size() > sizeof(int64_t)) {
    integer.large_ = std::move(text);
    return integer;
  }
  uint64_t value = !text.empty() && SignBit(text.back()) ? ~uint64_t{0} : 0;
  for (size_t i = text.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(text[i]);
  }
  integer.small_ = static_cast<int64_t>(value);
  return integer;
}

Integer Integer::FromUnsigned(uint64_t value) {
  std::byte bytes[sizeof(value) + 1] = {};  // the last one is the sign
  StoreLittle(value, bytes);
  return FromTwosComplement(bytes);
}

std::optional<int64_t> Integer::ToInt64() const {
  if (!large_.empty()) return std::nullopt;
  return small_;
}

std::string Integer::ToTwosComplement() const {
  if (!large_.empty()) return large_;
  std::string bytes(sizeof(small_), '\0');
  const auto value = static_cast<uint64_t>(small_);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
  }
  Shorten(bytes);
  return bytes;
}

std::string Integer::ToString() const {
  if (large_.empty()) return std::to_string(small_);
  const std::string magnitude = Magnitude(large_, negative());
  const std::string digits =
      magnitude.size() > kMaxDecimalBytes ? Hex(magnitude) : Decimal(magnitude);
  return negative() ? "-" + digits : digits;
}

bool Integer::negative() const {
  return large_.empty() ? small_ < 0 : SignBit(large_.back());
}

}  // namespace caisson
