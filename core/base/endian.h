// SPDX-License-Identifier: Apache-2.0
//
// Loads and stores of integers in a stated byte order, at any alignment. The
// one place that knows the host's order.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace caisson {

enum class ByteOrder : uint8_t { kLittle, kBig };

inline constexpr ByteOrder kNativeOrder =
    std::endian::native == std::endian::little ? ByteOrder::kLittle
                                               : ByteOrder::kBig;

template <std::unsigned_integral T>
constexpr T Reversed(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
T LoadLittle(const void* src) {
  T value;
  std::memcpy(&value, src, sizeof(T));
  return kNativeOrder == ByteOrder::kLittle ? value : Reversed(value);
}

template <std::unsigned_integral T>
T LoadBig(const void* src) {
  T value;
  std::memcpy(&value, src, sizeof(T));
  return kNativeOrder == ByteOrder::kBig ? value : Reversed(value);
}

template <std::unsigned_integral T>
void StoreLittle(T value, void* dst) {
  if (kNativeOrder == ByteOrder::kBig) value = Reversed(value);
  std::memcpy(dst, &value, sizeof(T));
}

template <std::unsigned_integral T>
void StoreBig(T value, void* dst) {
  if (kNativeOrder == ByteOrder::kLittle) value = Reversed(value);
  std::memcpy(dst, &value, sizeof(T));
}

}  // namespace caisson
