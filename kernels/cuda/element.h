// SPDX-License-Identifier: Apache-2.0
//
// One element, as the low bits of a word of 64: read from memory and written
// to it at any alignment, and converted from any number to any other. The
// rounding is that of the host's table.
//
// Little-endian, as every host of CUDA is. Pure; any thread, on either side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/launch.h"
#include "kernels/float_bits.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

template <typename T>
CAISSON_HOST_DEVICE inline bool IsAligned(const std::byte* at) {
  return (reinterpret_cast<uintptr_t>(at) & (sizeof(T) - 1)) == 0;
}

template <typename T>
CAISSON_HOST_DEVICE inline T LoadAs(const std::byte* at) {
#if defined(__CUDA_ARCH__)
  if (IsAligned<T>(at)) return *reinterpret_cast<const T*>(at);
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |=
        static_cast<T>(static_cast<T>(static_cast<uint8_t>(at[i])) << (8 * i));
  }
  return value;
#else
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
#endif
}

template <typename T>
CAISSON_HOST_DEVICE inline void StoreAs(std::byte* at, T value) {
#if defined(__CUDA_ARCH__)
  if (IsAligned<T>(at)) {
    *reinterpret_cast<T*>(at) = value;
    return;
  }
  for (size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * i));
  }
#else
  std::memcpy(at, &value, sizeof(T));
#endif
}

// REQUIRES, here and below: a width of 1, 2, 4 or 8.
CAISSON_HOST_DEVICE inline uint64_t LoadBits(const std::byte* at,
                                             uint32_t width) {
  switch (width) {
    case 1:
      return static_cast<uint8_t>(*at);
    case 2:
      return LoadAs<uint16_t>(at);
    case 4:
      return LoadAs<uint32_t>(at);
    default:
      return LoadAs<uint64_t>(at);
  }
}

CAISSON_HOST_DEVICE inline void StoreBits(std::byte* at, uint32_t width,
                                          uint64_t bits) {
  switch (width) {
    case 1:
      *at = static_cast<std::byte>(bits);
      return;
    case 2:
      return StoreAs(at, static_cast<uint16_t>(bits));
    case 4:
      return StoreAs(at, static_cast<uint32_t>(bits));
    default:
      return StoreAs(at, bits);
  }
}

// A NaN keeps its sign and the leading bits of its payload, and is quiet, as
// the instructions of x86 and ARM have it; those of a device lose them.
CAISSON_HOST_DEVICE inline uint32_t Float32FromFloat64(uint64_t x) {
  const uint64_t magnitude = x & ~(uint64_t{1} << 63);
  if (magnitude > uint64_t{0x7FF} << 52) {
    return static_cast<uint32_t>(x >> 63 << 31) | 0x7FC00000 |
           static_cast<uint32_t>(magnitude >> 29 & 0x7FFFFF);
  }
  return bits::AsBits(static_cast<float>(__builtin_bit_cast(double, x)));
}

CAISSON_HOST_DEVICE inline uint64_t Float64FromFloat32(uint32_t x) {
  const uint32_t magnitude = x & ~bits::kSign32;
  if (magnitude > bits::kInfinity32) {
    return uint64_t{x >> 31} << 63 | uint64_t{0x7FF8} << 48 |
           uint64_t{magnitude & 0x7FFFFF} << 29;
  }
  return __builtin_bit_cast(uint64_t, static_cast<double>(bits::AsFloat(x)));
}

CAISSON_HOST_DEVICE inline uint32_t ToFloat32(uint64_t x, Number from) {
  switch (from) {
    case Number::kFloat64:
      return Float32FromFloat64(x);
    case Number::kFloat16:
      return bits::Float32FromFloat16(static_cast<uint16_t>(x));
    case Number::kBFloat16:
      return bits::Float32FromBFloat16(static_cast<uint16_t>(x));
    case Number::kFloat8E5M2:
      return bits::Float32FromFloat8E5M2(static_cast<uint8_t>(x));
    case Number::kFloat8E4M3:
      return bits::Float32FromFloat8E4M3(static_cast<uint8_t>(x));
    default:
      return static_cast<uint32_t>(x);
  }
}

CAISSON_HOST_DEVICE inline uint64_t FromFloat32(uint32_t x, Number to) {
  switch (to) {
    case Number::kFloat64:
      return Float64FromFloat32(x);
    case Number::kFloat16:
      return bits::Float16FromFloat32(x);
    case Number::kBFloat16:
      return bits::BFloat16FromFloat32(x);
    case Number::kFloat8E5M2:
      return bits::Float8E5M2FromFloat32(x);
    case Number::kFloat8E4M3:
      return bits::Float8E4M3FromFloat32(x);
    default:
      return x;
  }
}

// The integer of `width` bytes, with its sign in the bits above.
CAISSON_HOST_DEVICE inline uint64_t SignExtend(uint64_t x, uint32_t width) {
  const uint32_t unused = 64 - 8 * width;
  return static_cast<uint64_t>(static_cast<int64_t>(x << unused) >> unused);
}

CAISSON_HOST_DEVICE inline uint64_t Converted(const LaunchStep& step,
                                              uint64_t x) {
  if (step.from == Number::kUnsigned) return x;
  if (step.from == Number::kSigned) return SignExtend(x, step.from_width());
  return FromFloat32(ToFloat32(x, step.from), step.to);
}

// Whether the new type can hold the integer.
CAISSON_HOST_DEVICE inline bool Fits(const LaunchStep& step, uint64_t x) {
  if (step.from == Number::kUnsigned) return x <= step.most;
  const auto value = static_cast<int64_t>(SignExtend(x, step.from_width()));
  return value >= step.least &&
         (value < 0 || static_cast<uint64_t>(value) <= step.most);
}

}  // namespace caisson::cuda
