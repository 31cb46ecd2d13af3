// SPDX-License-Identifier: Apache-2.0
//
// How elements of one type become elements of another: the kernels that
// Op::kConvert takes, chosen once for a step.
//
// A Conversion is a small value. Any thread.
#pragma once

#include <cstddef>
#include <optional>

#include "kernels/cpu/convert_float.h"
#include "kernels/cpu/convert_integer.h"
#include "kernels/number.h"

namespace caisson::cpu {

class Conversion {
 public:
  explicit Conversion(const NumberConversion& numbers);

  // Converts `elems` elements. Any alignment. An integer out of range keeps
  // its low bytes.
  //
  // REQUIRES: the ranges are disjoint, or src == dst and elements do not grow.
  void Run(const std::byte* src, std::byte* dst, size_t elems) const;

  // The first of the elements that its new type cannot hold, else `elems`.
  // What floating-point formats cannot hold is rounded, and never counts.
  size_t FirstBad(const std::byte* src, size_t elems) const;

 private:
  size_t from_width_;  // bytes
  size_t to_width_;

  // Floating point: to float32 first, unless it is that, and from there on.
  std::optional<FloatStage> to_float32_;
  std::optional<FloatStage> from_float32_;

  // Integers, where there is neither.
  bool from_signed_;
  std::optional<IntegerRange> range_;  // none: every element fits
};

}  // namespace caisson::cpu
