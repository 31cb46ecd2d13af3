// SPDX-License-Identifier: Apache-2.0
//
// The numbers of small floating-point formats by their definition, and
// rounding to them by search: slow, and without the bit arithmetic of what it
// tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace caisson {

// A format of up to 16 bits: sign, exponent, mantissa.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  // else only all bits set are NaN, as in float8_e4m3fn

  uint32_t sign() const { return 1u << (exponent_bits + mantissa_bits); }
  uint32_t count() const { return 2 * sign(); }

  // The value of a code; NaN for those that are.
  double Value(uint32_t code) const {
    const uint32_t magnitude = code & (sign() - 1);
    const auto exponent = static_cast<int>(magnitude >> mantissa_bits);
    const uint32_t mantissa = magnitude & ((1u << mantissa_bits) - 1);
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const bool last = exponent == (1 << exponent_bits) - 1;
    double value =
        std::ldexp((exponent == 0 ? 0 : 1 << mantissa_bits) + mantissa,
                   std::max(exponent, 1) - bias - mantissa_bits);
    if (last && has_infinity) {
      value = mantissa == 0 ? std::numeric_limits<double>::infinity()
                            : std::numeric_limits<double>::quiet_NaN();
    } else if (magnitude == sign() - 1 && !has_infinity) {
      value = std::numeric_limits<double>::quiet_NaN();
    }
    return (code & sign()) != 0 ? -value : value;
  }

  // The largest finite magnitude's code.
  uint32_t Largest() const {
    return has_infinity ? (((1u << exponent_bits) - 1) << mantissa_bits) - 1
                        : sign() - 2;
  }
};

inline constexpr SmallFloat kFloat16Format{5, 10, true};
inline constexpr SmallFloat kBFloat16Format{8, 7, true};
inline constexpr SmallFloat kFloat8E5M2Format{5, 2, true};
inline constexpr SmallFloat kFloat8E4M3Format{4, 3, false};

// Rounds by looking at every number of the format.
class NearestEven {
 public:
  explicit NearestEven(const SmallFloat& format) : format_(format) {
    // One step past the largest is what rounds to it and what does not.
    for (uint32_t code = 0; code <= format.Largest(); ++code) {
      values_.push_back(format.Value(code));
    }
    const double last = values_.back();
    values_.push_back(last + (last - values_[values_.size() - 2]));
  }

  // The code of the number nearest to `value`, of two that are as near the
  // even one. Past the largest: infinity, or the largest where there is none.
  // REQUIRES: no NaN.
  uint32_t Round(double value) const {
    const uint32_t sign = std::signbit(value) ? format_.sign() : 0;
    const double magnitude = std::fabs(value);
    const uint32_t past = format_.Largest() + (format_.has_infinity ? 1 : 0);
    if (magnitude >= values_.back()) return sign | past;
    size_t low = 0;
    size_t high = values_.size() - 1;  // values_[low] <= magnitude < [high]
    while (high - low > 1) {
      const size_t middle = (low + high) / 2;
      (values_[middle] <= magnitude ? low : high) = middle;
    }
    const double below = magnitude - values_[low];
    const double above = values_[high] - magnitude;
    const bool up = above < below || (above == below && low % 2 == 1);
    return sign | std::min(static_cast<uint32_t>(up ? high : low), past);
  }

 private:
  SmallFloat format_;
  std::vector<double> values_;
};

}  // namespace caisson
