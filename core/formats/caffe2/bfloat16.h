// SPDX-License-Identifier: Apache-2.0
//
// float32 and Caffe2's bfloat16, which rounds half up in magnitude and has no
// case for NaN, as fbgemm does: formats.md 5.2. Native byte order.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace caisson::caffe2 {

inline uint16_t BFloat16Of(uint32_t bits) {
  return static_cast<uint16_t>((bits + 0x8000u) >> 16);
}

// Every float32 of `floats` as a bfloat16.
inline std::string ToBFloat16(std::string_view floats) {
  std::string halves(floats.size() / 2, '\0');
  for (size_t i = 0; i < floats.size() / 4; ++i) {
    uint32_t bits;
    std::memcpy(&bits, floats.data() + 4 * i, sizeof(bits));
    const uint16_t half = BFloat16Of(bits);
    std::memcpy(halves.data() + 2 * i, &half, sizeof(half));
  }
  return halves;
}

// The inverse, exact.
inline std::string FromBFloat16(std::string_view halves) {
  std::string floats(halves.size() * 2, '\0');
  for (size_t i = 0; i < halves.size() / 2; ++i) {
    uint16_t half;
    std::memcpy(&half, halves.data() + 2 * i, sizeof(half));
    const uint32_t bits = uint32_t{half} << 16;
    std::memcpy(floats.data() + 4 * i, &bits, sizeof(bits));
  }
  return floats;
}

}  // namespace caisson::caffe2
