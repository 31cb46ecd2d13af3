// SPDX-License-Identifier: Apache-2.0
//
// How elements of one type become elements of another: the kernels that
// Op::kConvert takes, chosen once for a step.
//
// A Conversion is a small value. Any thread.
#pragma once

#include <cstddef>
#include <optional>

#include "caisson/dtype.h"
#include "caisson/status.h"
#include "kernels/cpu/convert_float.h"
#include "kernels/cpu/convert_integer.h"

namespace caisson::cpu {

class Conversion {
 public:
  // Between float64, float32, float16, bfloat16, float8_e4m3fn and
  // float8_e5m2; between integers of whole bytes; from bool to those.
  //
  // REQUIRES: from != to.
  // Errors: kUnsupported, naming both types, for any other pair.
  static Result<Conversion> Make(DType from, DType to);

  // Converts `elems` elements. Any alignment. An integer out of range keeps
  // its low bytes.
  //
  // REQUIRES: the ranges are disjoint, or src == dst and elements do not grow.
  void Run(const std::byte* src, std::byte* dst, size_t elems) const;

  // The first of the elements that its new type cannot hold, else `elems`.
  // What floating-point formats cannot hold is rounded, and never counts.
  size_t FirstBad(const std::byte* src, size_t elems) const;

 private:
  Conversion() = default;

  size_t from_width_ = 0;  // bytes
  size_t to_width_ = 0;

  // Floating point: to float32 first, unless it is that, and from there on.
  std::optional<FloatStage> to_float32_;
  std::optional<FloatStage> from_float32_;

  // Integers, where there is neither.
  bool from_signed_ = false;
  std::optional<IntegerRange> range_;  // none: every element fits
};

}  // namespace caisson::cpu
