// SPDX-License-Identifier: Apache-2.0
//
// Conversions between float32 and the other floating-point formats, on runs of
// elements. Any thread. The rounding is that of kernels/float_bits.h; float64
// is rounded by the processor, in the default mode.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caisson::cpu {

enum class FloatStage : uint8_t {
  kToBFloat16,  // from float32
  kToFloat16,
  kToFloat8E5M2,
  kToFloat8E4M3,
  kToFloat64,
  kFromBFloat16,  // to float32
  kFromFloat16,
  kFromFloat8E5M2,
  kFromFloat8E4M3,
  kFromFloat64,
};

// Converts `elems` elements, which lie one after the other at any alignment.
//
// REQUIRES: the ranges are disjoint, or src == dst and elements do not grow.
void ConvertFloats(FloatStage stage, const std::byte* src, std::byte* dst,
                   size_t elems);

}  // namespace caisson::cpu
