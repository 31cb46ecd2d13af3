// SPDX-License-Identifier: Apache-2.0
//
// An integer of any size, as Python has it. A plain value.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace caisson {

class Integer {
 public:
  Integer(int64_t value = 0) : small_(value) {}

  // From any built-in integer.
  template <std::integral T>
  static Integer From(T value) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(int64_t)) {
      return FromUnsigned(value);
    } else {
      return Integer(static_cast<int64_t>(value));
    }
  }

  // From two's complement, least significant byte first; none means 0. This
  // is the argument of pickle's LONG1 and LONG4.
  static Integer FromTwosComplement(std::span<const std::byte> bytes);

  // The value, if it fits.
  std::optional<int64_t> ToInt64() const;

  // The shortest two's complement, least significant byte first; empty for 0.
  std::string ToTwosComplement() const;

  // Decimal for up to 4096 bits, beyond that "0x..." or "-0x...".
  std::string ToString() const;

  bool negative() const;
  friend bool operator==(const Integer&, const Integer&) = default;

 private:
  static Integer FromUnsigned(uint64_t value);

  int64_t small_ = 0;
  std::string large_;  // shortest two's complement, when small_ cannot hold it
};

}  // namespace caisson
