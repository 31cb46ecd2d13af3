// SPDX-License-Identifier: Apache-2.0
//
// The numbers that a tensor's elements stand for, of any dtype.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/dtype.h"

namespace caisson::cli {

enum class ElementClass : uint8_t {
  kFloat,    // also float4_e2m1fn_x2, two floats in a byte
  kComplex,  // real, imaginary
  kInteger,  // also the integers that quantised types store
  kBool,
  kBits,  // packed or uninterpreted
};

ElementClass ClassOf(DType dtype);

// Numbers in one element: 2 for complex types and float4_e2m1fn_x2, else 1.
size_t NumbersIn(DType dtype);

// Significant digits that tell any two values of a float type apart, of the
// components for a complex type.
int SignificantDigits(DType dtype);

// Decodes `numbers.size()` numbers from `data`, exactly. Any alignment.
// REQUIRES: class kFloat or kComplex; ByteWidth(dtype) != 0.
void DecodeFloats(DType dtype, const std::byte* data,
                  std::span<double> numbers);

// The same for kInteger, kBool (0 or 1) and kBits; the upper half of uint64
// comes out negative, as the same 64 bits.
void DecodeIntegers(DType dtype, const std::byte* data,
                    std::span<int64_t> numbers);

}  // namespace caisson::cli
