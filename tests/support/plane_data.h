// SPDX-License-Identifier: Apache-2.0
//
// Elements for the plane codec, as tensors have them and as they do not: the
// same in every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "caisson/plane_chunk.h"

namespace caisson {

// How elements are distributed.
enum class PlaneData : uint8_t {
  kZeros,
  kConstant,   // one element of random bits
  kNormal,     // floats N(0, 0.02), integers of the same shape
  kPositive,   // the same without signs
  kRows,       // normal, of a scale that changes every 1024 elements
  kCoarse,     // normal with the lower half of the bits zero
  kSmall,      // integers below 100 of either sign; floats of few values
  kNans,       // payloads of NaNs among normal ones
  kDenormals,  // exponent 0 and random mantissas, among zeros
  kNoise,      // uniform bits
  kLateNoise,  // normal, with noise where no sample looks
};
inline constexpr size_t kPlaneDataKinds = 11;

std::string_view Name(PlaneData data);
std::string_view Name(PlaneType type);

// `elems` elements of `type`, little-endian.
std::vector<std::byte> MakePlaneData(PlaneType type, PlaneData data,
                                     size_t elems, uint64_t seed);

}  // namespace caisson
