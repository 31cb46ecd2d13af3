// SPDX-License-Identifier: Apache-2.0
//
// The bits of floating-point numbers, from one format to another. The one
// arithmetic behind every table: plain functions of one element, which the
// host's loops vectorise and a device calls per thread.
//
// Narrowing rounds to nearest, ties to even, subnormals included. What rounds
// past the largest finite number becomes infinity; in float8_e4m3fn, which has
// none, it and infinity become that largest number, as in PyTorch 2.13. NaN
// stays NaN and keeps its sign: 16-bit formats keep the leading bits of the
// payload with the quiet bit set, as the conversion instructions of x86 and ARM
// do; 8-bit formats have all bits of exponent and mantissa set, as in PyTorch.
// Widening is exact; a NaN that was signalling becomes quiet, except from
// bfloat16, which is the upper half of a float32.
//
// Additions on float serve only to round or to renormalise. No result that is
// used depends on a subnormal operand, so the flush-to-zero modes change
// nothing. The rounding mode must be the default.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace caisson::bits {

inline constexpr uint32_t kSign32 = 0x80000000;
inline constexpr uint32_t kInfinity32 = 0x7F800000;  // exponent 255

CAISSON_HOST_DEVICE inline float AsFloat(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}
CAISSON_HOST_DEVICE inline uint32_t AsBits(float value) {
  return __builtin_bit_cast(uint32_t, value);
}

// A binary format of `exponent` and `mantissa` bits below its sign, laid out
// as in IEEE 754.
template <int exponent, int mantissa>
struct Format {
  static constexpr int kBias = (1 << (exponent - 1)) - 1;
  static constexpr int kShift = 23 - mantissa;  // what a float32 has more
  static constexpr int kSignShift = 31 - exponent - mantissa;
  static constexpr uint32_t kMagnitude = (1u << (exponent + mantissa)) - 1;
  static constexpr uint32_t kExponentMask = ((1u << exponent) - 1) << 23;

  // Adds to the exponent of a float32 what makes it one of this format.
  static constexpr uint32_t kRebias = static_cast<uint32_t>(kBias - 127) << 23;

  // The float32 of this format's smallest normal number.
  static constexpr uint32_t kSmallestNormal = static_cast<uint32_t>(128 - kBias)
                                              << 23;

  // A power of two so large that the last bit of its float32 is worth the
  // last bit of this format's subnormal numbers: adding it rounds to them.
  static constexpr uint32_t kRounder =
      static_cast<uint32_t>(127 - kBias + kShift + 1) << 23;
};

using Float16 = Format<5, 10>;
using Float8E5M2 = Format<5, 2>;
using Float8E4M3 = Format<4, 3>;

// The nearest number to a float32 of that magnitude, which is below 2^16
// times the format's largest. Past the largest the bits count on, through
// infinity.
template <class F>
CAISSON_HOST_DEVICE inline uint32_t RoundMagnitude(uint32_t magnitude) {
  constexpr uint32_t kHalf = (1u << (F::kShift - 1)) - 1;
  const uint32_t odd = (magnitude >> F::kShift) & 1;
  const uint32_t normal = (magnitude + F::kRebias + kHalf + odd) >> F::kShift;
  const uint32_t subnormal =
      AsBits(AsFloat(magnitude) + AsFloat(F::kRounder)) - F::kRounder;
  return magnitude < F::kSmallestNormal ? subnormal : normal;
}

// The float32 equal to a number of the format, its sign aside, that is neither
// infinite nor NaN unless the format is without infinities.
template <class F>
CAISSON_HOST_DEVICE inline uint32_t WidenMagnitude(uint32_t magnitude) {
  const uint32_t placed = magnitude << F::kShift;
  const uint32_t normal = placed - F::kRebias;
  // A subnormal has no implicit one: gives it one and takes it off again.
  const uint32_t subnormal = AsBits(AsFloat(placed + F::kSmallestNormal) -
                                    AsFloat(F::kSmallestNormal));
  return (placed & F::kExponentMask) == 0 ? subnormal : normal;
}

CAISSON_HOST_DEVICE inline uint16_t BFloat16FromFloat32(uint32_t x) {
  const uint32_t rounded = (x + 0x7FFF + ((x >> 16) & 1)) >> 16;
  const uint32_t quiet = (x >> 16) | 0x40;
  return static_cast<uint16_t>((x & ~kSign32) > kInfinity32 ? quiet : rounded);
}

CAISSON_HOST_DEVICE inline uint32_t Float32FromBFloat16(uint16_t x) {
  return uint32_t{x} << 16;
}

CAISSON_HOST_DEVICE inline uint16_t Float16FromFloat32(uint32_t x) {
  const uint32_t magnitude = x & ~kSign32;
  const uint32_t sign = (x ^ magnitude) >> Float16::kSignShift;
  constexpr uint32_t kOverflow = (127u + 16) << 23;  // 2^16
  const uint32_t nan = 0x7E00 | (magnitude >> Float16::kShift & 0x3FF);
  const uint32_t special = magnitude > kInfinity32 ? nan : 0x7C00;
  const uint32_t finite = RoundMagnitude<Float16>(magnitude);
  return static_cast<uint16_t>(sign |
                               (magnitude >= kOverflow ? special : finite));
}

CAISSON_HOST_DEVICE inline uint32_t Float32FromFloat16(uint16_t x) {
  const uint32_t magnitude = x & Float16::kMagnitude;
  const uint32_t sign = uint32_t{x} >> 15 << 31;
  const uint32_t nan = magnitude > 0x7C00 ? 0x400000 : 0;
  const uint32_t special = kInfinity32 | nan | (magnitude & 0x3FF) << 13;
  const uint32_t finite = WidenMagnitude<Float16>(magnitude);
  return sign | (magnitude >= 0x7C00 ? special : finite);
}

CAISSON_HOST_DEVICE inline uint8_t Float8E5M2FromFloat32(uint32_t x) {
  const uint32_t magnitude = x & ~kSign32;
  const uint32_t sign = (x ^ magnitude) >> Float8E5M2::kSignShift;
  constexpr uint32_t kOverflow = (127u + 16) << 23;  // 2^16
  const uint32_t special = magnitude > kInfinity32 ? 0x7F : 0x7C;
  const uint32_t finite = RoundMagnitude<Float8E5M2>(magnitude);
  return static_cast<uint8_t>(sign |
                              (magnitude >= kOverflow ? special : finite));
}

CAISSON_HOST_DEVICE inline uint32_t Float32FromFloat8E5M2(uint8_t x) {
  return Float32FromFloat16(static_cast<uint16_t>(x << 8));
}

// 464: what is larger rounds past 448, the largest number, to the code of NaN.
inline constexpr uint32_t kLastFloat8E4M3 = 0x43E80000;

CAISSON_HOST_DEVICE inline uint8_t Float8E4M3FromFloat32(uint32_t x) {
  const uint32_t magnitude = x & ~kSign32;
  const uint32_t sign = (x ^ magnitude) >> Float8E4M3::kSignShift;
  const uint32_t special = magnitude > kInfinity32 ? 0x7F : 0x7E;
  const uint32_t finite = RoundMagnitude<Float8E4M3>(magnitude);
  return static_cast<uint8_t>(sign |
                              (magnitude > kLastFloat8E4M3 ? special : finite));
}

CAISSON_HOST_DEVICE inline uint32_t Float32FromFloat8E4M3(uint8_t x) {
  const uint32_t magnitude = x & Float8E4M3::kMagnitude;
  const uint32_t sign = uint32_t{x} >> 7 << 31;
  const uint32_t finite = WidenMagnitude<Float8E4M3>(magnitude);
  return sign | (magnitude == 0x7F ? 0x7FF00000 : finite);
}

}  // namespace caisson::bits
