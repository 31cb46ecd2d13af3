// SPDX-License-Identifier: Apache-2.0
#include "kernels/number.h"

#include <algorithm>
#include <limits>
#include <string>

namespace caisson {
namespace {

std::optional<Number> NumberOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return Number::kFloat64;
    case DType::kFloat32:
      return Number::kFloat32;
    case DType::kFloat16:
      return Number::kFloat16;
    case DType::kBFloat16:
      return Number::kBFloat16;
    case DType::kFloat8E5M2:
      return Number::kFloat8E5M2;
    case DType::kFloat8E4M3Fn:
      return Number::kFloat8E4M3;
    case DType::kInt64:
    case DType::kInt32:
    case DType::kInt16:
    case DType::kInt8:
      return Number::kSigned;
    case DType::kUInt64:
    case DType::kUInt32:
    case DType::kUInt16:
    case DType::kUInt8:
    case DType::kBool:
      return Number::kUnsigned;
    default:
      return std::nullopt;
  }
}

bool IsInteger(Number number) {
  return number == Number::kSigned || number == Number::kUnsigned;
}

IntegerRange RangeOf(Number number, size_t width) {
  const auto bits = static_cast<int>(8 * width);
  const uint64_t all = std::numeric_limits<uint64_t>::max() >> (64 - bits);
  if (number == Number::kUnsigned) return {.least = 0, .most = all};
  const auto most = static_cast<int64_t>(all >> 1);
  return {.least = -most - 1, .most = all >> 1};
}

}  // namespace

Result<NumberConversion> ConversionOf(DType from, DType to) {
  const std::optional<Number> number_from = NumberOf(from);
  const std::optional<Number> number_to = NumberOf(to);
  if (!number_from || !number_to || to == DType::kBool ||
      IsInteger(*number_from) != IsInteger(*number_to)) {
    return Status::Unsupported("no kernel converts " + std::string(Name(from)) +
                               " to " + std::string(Name(to)));
  }
  NumberConversion conversion;
  conversion.from = *number_from;
  conversion.to = *number_to;
  conversion.from_width = ByteWidth(from);
  conversion.to_width = ByteWidth(to);
  if (!IsInteger(*number_from)) return conversion;
  const IntegerRange all = RangeOf(*number_from, conversion.from_width);
  const IntegerRange fits = RangeOf(*number_to, conversion.to_width);
  if (all.least < fits.least || all.most > fits.most) {
    conversion.range = {.least = std::max(all.least, fits.least),
                        .most = std::min(all.most, fits.most)};
  }
  return conversion;
}

}  // namespace caisson
