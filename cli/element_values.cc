// SPDX-License-Identifier: Apache-2.0
#include "cli/element_values.h"

#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace caisson::cli {
namespace {

// The bits of a small float, and which of them are no number.
struct SmallFloat {
  int mantissa;
  int exponent;
  int bias;
  enum Specials : uint8_t {
    kIeee,       // the highest exponent: infinities and NaNs
    kAllOnes,    // NaN is all ones below the sign; no infinities
    kMinusZero,  // NaN is the sign alone; no infinities
    kNone,
  } specials;
};

constexpr SmallFloat kHalf = {10, 5, 15, SmallFloat::kIeee};
constexpr SmallFloat kE5M2 = {2, 5, 15, SmallFloat::kIeee};
constexpr SmallFloat kE4M3Fn = {3, 4, 7, SmallFloat::kAllOnes};
constexpr SmallFloat kE5M2FnUz = {2, 5, 16, SmallFloat::kMinusZero};
constexpr SmallFloat kE4M3FnUz = {3, 4, 8, SmallFloat::kMinusZero};
constexpr SmallFloat kE2M1 = {1, 2, 1, SmallFloat::kNone};

double Decode(uint32_t bits, const SmallFloat& form) {
  const uint32_t mantissa = bits & ((1u << form.mantissa) - 1);
  const uint32_t top = (1u << form.exponent) - 1;
  const uint32_t exponent = bits >> form.mantissa & top;
  const bool negative = bits >> (form.mantissa + form.exponent) & 1;
  const bool ones = exponent == top && mantissa == (1u << form.mantissa) - 1;
  const double nan = std::numeric_limits<double>::quiet_NaN();

  if (form.specials == SmallFloat::kIeee && exponent == top) {
    if (mantissa != 0) return nan;
    return negative ? -HUGE_VAL : HUGE_VAL;
  }
  if (form.specials == SmallFloat::kAllOnes && ones) return nan;
  if (form.specials == SmallFloat::kMinusZero && negative && exponent == 0 &&
      mantissa == 0) {
    return nan;
  }
  // A subnormal lacks the leading one and has the exponent of 1.
  const uint32_t lead = exponent == 0 ? 0 : 1u << form.mantissa;
  const int power = static_cast<int>(exponent == 0 ? 1 : exponent) - form.bias -
                    form.mantissa;
  const double value = std::ldexp(lead | mantissa, power);
  return negative ? -value : value;
}

// OCP microscaling formats 1.0, section 5.4.1: a power of two, no sign.
double DecodeE8M0(uint32_t bits) {
  if (bits == 255) return std::numeric_limits<double>::quiet_NaN();
  return std::ldexp(1.0, static_cast<int>(bits) - 127);
}

template <class Of>
std::array<double, 256> TableOf(Of of) {
  std::array<double, 256> table{};
  for (uint32_t bits = 0; bits < 256; ++bits) table[bits] = of(bits);
  return table;
}

// The values of an 8-bit type.
const std::array<double, 256>& ByteTable(DType dtype) {
  const auto table_of = [](SmallFloat form) {
    return TableOf([form](uint32_t bits) { return Decode(bits, form); });
  };
  static const auto e5m2 = table_of(kE5M2);
  static const auto e4m3_fn = table_of(kE4M3Fn);
  static const auto e5m2_fnuz = table_of(kE5M2FnUz);
  static const auto e4m3_fnuz = table_of(kE4M3FnUz);
  static const auto e8m0 = TableOf(DecodeE8M0);
  switch (dtype) {
    case DType::kFloat8E5M2:
      return e5m2;
    case DType::kFloat8E4M3Fn:
      return e4m3_fn;
    case DType::kFloat8E5M2FnUz:
      return e5m2_fnuz;
    case DType::kFloat8E4M3FnUz:
      return e4m3_fnuz;
    default:
      return e8m0;
  }
}

template <class T>
T Load(const std::byte* data, size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

template <class T, class Number, class Convert>
void Each(const std::byte* data, std::span<Number> numbers, Convert convert) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<Number>(convert(Load<T>(data, i)));
  }
}

template <class T, class Number>
void Widen(const std::byte* data, std::span<Number> numbers) {
  Each<T>(data, numbers, [](T value) { return Number{value}; });
}

}  // namespace

ElementClass ClassOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kFloat32:
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kFloat8E5M2:
    case DType::kFloat8E4M3Fn:
    case DType::kFloat8E5M2FnUz:
    case DType::kFloat8E4M3FnUz:
    case DType::kFloat8E8M0Fnu:
    case DType::kFloat4E2M1FnX2:
    case DType::kFloat6E2M3:
    case DType::kFloat6E3M2:
      return ElementClass::kFloat;
    case DType::kComplex128:
    case DType::kComplex64:
    case DType::kComplex32:
      return ElementClass::kComplex;
    case DType::kBool:
      return ElementClass::kBool;
    case DType::kQUInt4x2:
    case DType::kQUInt2x4:
    case DType::kBits8:
    case DType::kBits1x8:
    case DType::kBits2x4:
    case DType::kBits4x2:
    case DType::kBits16:
      return ElementClass::kBits;
    default:
      return ElementClass::kInteger;
  }
}

size_t NumbersIn(DType dtype) {
  const bool pair = ClassOf(dtype) == ElementClass::kComplex ||
                    dtype == DType::kFloat4E2M1FnX2;
  return pair ? 2 : 1;
}

int SignificantDigits(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kComplex128:
      return 17;
    case DType::kFloat32:
    case DType::kComplex64:
    case DType::kFloat8E8M0Fnu:  // 2^-127 to 2^127, as float32 shows them
      return 9;
    case DType::kFloat16:
    case DType::kComplex32:
      return 5;
    case DType::kBFloat16:
      return 4;
    default:  // 1 + ceil(mantissa * log10(2))
      return 3;
  }
}

void DecodeFloats(DType dtype, const std::byte* data,
                  std::span<double> numbers) {
  const auto half = [](uint16_t bits) { return Decode(bits, kHalf); };
  const auto brain = [](uint16_t bits) {
    const uint32_t wide = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  };
  switch (dtype) {
    case DType::kFloat64:
    case DType::kComplex128:
      return Widen<double>(data, numbers);
    case DType::kFloat32:
    case DType::kComplex64:
      return Widen<float>(data, numbers);
    case DType::kFloat16:
    case DType::kComplex32:
      return Each<uint16_t>(data, numbers, half);
    case DType::kBFloat16:
      return Each<uint16_t>(data, numbers, brain);
    case DType::kFloat4E2M1FnX2:
      // The first of the two values is in the low half.
      for (size_t i = 0; i < numbers.size(); ++i) {
        const auto both = static_cast<uint32_t>(data[i / 2]);
        numbers[i] = Decode(i % 2 == 0 ? both & 15 : both >> 4, kE2M1);
      }
      return;
    default: {
      assert(ByteWidth(dtype) == 1);
      const auto& table = ByteTable(dtype);
      return Each<uint8_t>(data, numbers,
                           [&](uint8_t bits) { return table[bits]; });
    }
  }
}

void DecodeIntegers(DType dtype, const std::byte* data,
                    std::span<int64_t> numbers) {
  switch (dtype) {
    case DType::kInt64:
    case DType::kUInt64:
      return Widen<int64_t>(data, numbers);
    case DType::kInt32:
    case DType::kQInt32:
      return Widen<int32_t>(data, numbers);
    case DType::kUInt32:
      return Widen<uint32_t>(data, numbers);
    case DType::kInt16:
      return Widen<int16_t>(data, numbers);
    case DType::kUInt16:
    case DType::kBits16:
      return Widen<uint16_t>(data, numbers);
    case DType::kBool:
      return Each<uint8_t>(data, numbers, [](uint8_t b) { return b != 0; });
    case DType::kInt8:
    case DType::kQInt8:
    case DType::kInt1:
    case DType::kInt2:
    case DType::kInt3:
    case DType::kInt4:
    case DType::kInt5:
    case DType::kInt6:
    case DType::kInt7:
      return Widen<int8_t>(data, numbers);
    default:
      return Widen<uint8_t>(data, numbers);
  }
}

}  // namespace caisson::cli
