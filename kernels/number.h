// SPDX-License-Identifier: Apache-2.0
//
// Elements as numbers, and which of them can become which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "caisson/dtype.h"
#include "caisson/status.h"

namespace caisson {

enum class Number : uint8_t {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kFloat8E5M2,
  kFloat8E4M3,
  kSigned,    // integers of 1, 2, 4 or 8 bytes
  kUnsigned,  // the same; bool is one of 0 and 1
};

// The smallest and largest value of an integer type, within those of another.
struct IntegerRange {
  int64_t least;  // 0 for unsigned types
  uint64_t most;
};

struct NumberConversion {
  Number from = Number::kFloat32;
  Number to = Number::kFloat32;
  size_t from_width = 4;  // bytes
  size_t to_width = 4;

  // Of integers, what the new type can hold. None: every element fits.
  std::optional<IntegerRange> range;
};

// Between float64, float32, float16, bfloat16, float8_e4m3fn and float8_e5m2;
// between integers of whole bytes; from bool to those.
//
// REQUIRES: from != to.
// Errors: kUnsupported, naming both types, for any other pair.
Result<NumberConversion> ConversionOf(DType from, DType to);

}  // namespace caisson
