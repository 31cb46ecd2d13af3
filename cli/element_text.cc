// SPDX-License-Identifier: Apache-2.0
#include "cli/element_text.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "cli/element_values.h"

namespace caisson::cli {
namespace {

// Shows that a float is one, and drops the sign of a NaN, which says nothing.
std::string Finished(double value, std::string text, std::string_view point) {
  if (std::isnan(value)) return "nan";
  const bool whole =
      std::isfinite(value) && text.find_first_of(".e") == std::string::npos;
  return whole ? text.append(point) : text;
}

}  // namespace

std::string FloatRepr(double value) {
  return Finished(value, fmt::format("{}", value), ".0");
}

std::string NumberText(DType dtype, double value) {
  const int digits = SignificantDigits(dtype);
  std::string text;
  if (std::trunc(value) == value && std::abs(value) < 1e9) {
    text = fmt::format("{:.0f}", value);
  } else if (digits == 17) {
    text = fmt::format("{}", value);
  } else if (digits == 9) {
    text = fmt::format("{}", static_cast<float>(value));
  } else {
    text = fmt::format("{:.{}g}", value, digits);
  }
  return Finished(value, text, ".");
}

std::string ElementText(DType dtype, const std::byte* data) {
  const ElementClass kind = ClassOf(dtype);
  if (kind == ElementClass::kFloat || kind == ElementClass::kComplex) {
    std::array<double, 2> numbers{};
    DecodeFloats(dtype, data, std::span(numbers).first(NumbersIn(dtype)));
    std::string first = NumberText(dtype, numbers[0]);
    if (NumbersIn(dtype) == 1) return first;
    const std::string second = NumberText(dtype, numbers[1]);
    if (kind == ElementClass::kFloat) {
      return fmt::format("({}, {})", first, second);
    }
    const char* plus = second.front() == '-' ? "" : "+";
    return fmt::format("{}{}{}j", first, plus, second);
  }

  std::array<int64_t, 1> number{};
  DecodeIntegers(dtype, data, number);
  if (kind == ElementClass::kBool) return number[0] != 0 ? "True" : "False";
  if (kind == ElementClass::kBits) {
    return fmt::format("0x{:0{}x}", number[0], 2 * ByteWidth(dtype));
  }
  if (dtype == DType::kUInt64) {
    return fmt::format("{}", static_cast<uint64_t>(number[0]));
  }
  return fmt::format("{}", number[0]);
}

}  // namespace caisson::cli
