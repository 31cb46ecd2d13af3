// SPDX-License-Identifier: Apache-2.0
//
// An integer of any size, as Python has it. A plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace caisson {

class Integer {
 public:
  Integer(int64_t value = 0) : small_(value) {}

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
  int64_t small_ = 0;
  std::string large_;  // shortest two's complement, when small_ cannot hold it
};

}  // namespace caisson
