// SPDX-License-Identifier: Apache-2.0
//
// Little-endian elements in memory, at any alignment, on a host of either byte
// order. Host only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "caisson/plane_chunk.h"

namespace caisson::plane {

template <PlaneType kType>
inline uint64_t LoadElem(const std::byte* src, size_t index) {
  constexpr size_t kWidth = TraitsOf(kType).width;
  uint64_t bits = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&bits, src + index * kWidth, kWidth);
  } else {
    for (size_t i = 0; i < kWidth; ++i) {
      bits |= uint64_t{static_cast<uint8_t>(src[index * kWidth + i])} << 8 * i;
    }
  }
  return bits;
}

template <PlaneType kType>
inline void StoreElem(uint64_t bits, std::byte* dst, size_t index) {
  constexpr size_t kWidth = TraitsOf(kType).width;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(dst + index * kWidth, &bits, kWidth);
  } else {
    for (size_t i = 0; i < kWidth; ++i) {
      dst[index * kWidth + i] = static_cast<std::byte>(bits >> 8 * i);
    }
  }
}

}  // namespace caisson::plane
