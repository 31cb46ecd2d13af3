// SPDX-License-Identifier: Apache-2.0
//
// A word of a narrow type and the kWords words of the same elements in a wide
// one: how they become each other. Where a device has an instruction it is
// taken, but for NaN, whose bits the instructions of a device lose.
//
// Pure; any thread, on either side.
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/float_bits.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

// Words that are read or written at once.
template <int count>
struct alignas(4 * count) WordPack {
  uint32_t words[count];
};

struct BFloat16 {
  static constexpr int kWidth = 2;  // bytes
  CAISSON_HOST_DEVICE static uint32_t Narrow(uint32_t x) {
    return bits::BFloat16FromFloat32(x);
  }
  CAISSON_HOST_DEVICE static uint32_t Widen(uint32_t x) {
    return bits::Float32FromBFloat16(static_cast<uint16_t>(x));
  }
};

struct Float16 {
  static constexpr int kWidth = 2;
  CAISSON_HOST_DEVICE static uint32_t Narrow(uint32_t x) {
#if defined(__CUDA_ARCH__)
    uint16_t made;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(made) : "f"(bits::AsFloat(x)));
    const uint32_t nan =
        (x >> 16 & 0x8000) | 0x7E00 | (x >> bits::Float16::kShift & 0x3FF);
    return (x & ~bits::kSign32) > bits::kInfinity32 ? nan : made;
#else
    return bits::Float16FromFloat32(x);
#endif
  }
  CAISSON_HOST_DEVICE static uint32_t Widen(uint32_t x) {
#if defined(__CUDA_ARCH__)
    float made;
    asm("cvt.f32.f16 %0, %1;" : "=f"(made) : "h"(static_cast<uint16_t>(x)));
    const uint32_t nan = (x & 0x8000) << 16 | 0x7FC00000 | (x & 0x3FF) << 13;
    return (x & 0x7FFF) > 0x7C00 ? nan : bits::AsBits(made);
#else
    return bits::Float32FromFloat16(static_cast<uint16_t>(x));
#endif
  }
};

struct Float8E5M2 {
  static constexpr int kWidth = 1;
  CAISSON_HOST_DEVICE static uint32_t Narrow(uint32_t x) {
    return bits::Float8E5M2FromFloat32(x);
  }
  CAISSON_HOST_DEVICE static uint32_t Widen(uint32_t x) {
    return bits::Float32FromFloat8E5M2(static_cast<uint8_t>(x));
  }
};

struct Float8E4M3 {
  static constexpr int kWidth = 1;
  CAISSON_HOST_DEVICE static uint32_t Narrow(uint32_t x) {
    return bits::Float8E4M3FromFloat32(x);
  }
  CAISSON_HOST_DEVICE static uint32_t Widen(uint32_t x) {
    return bits::Float32FromFloat8E4M3(static_cast<uint8_t>(x));
  }
};

// Between float32 and a type of 1 or 2 bytes.
template <class Small>
struct SmallCodec {
  static constexpr int kWords = 4 / Small::kWidth;
  static constexpr int kUnit = Small::kWidth;  // bytes of a narrow element
  using Wide = WordPack<kWords>;

  CAISSON_HOST_DEVICE static uint32_t Narrow(const Wide& wide) {
    uint32_t made = 0;
    CAISSON_UNROLL
    for (int i = 0; i < kWords; ++i) {
      made |= Small::Narrow(wide.words[i]) << (8 * Small::kWidth * i);
    }
    return made;
  }
  CAISSON_HOST_DEVICE static Wide Widen(uint32_t narrow) {
    constexpr uint32_t kMask = (1u << (8 * Small::kWidth)) - 1;
    Wide made;
    CAISSON_UNROLL
    for (int i = 0; i < kWords; ++i) {
      made.words[i] = Small::Widen(narrow >> (8 * Small::kWidth * i) & kMask);
    }
    return made;
  }
};

// Between float64 and float32.
struct DoubleCodec {
  static constexpr int kWords = 2;
  static constexpr int kUnit = 4;
  using Wide = WordPack<kWords>;

  CAISSON_HOST_DEVICE static uint32_t Narrow(const Wide& wide) {
    return Float32FromFloat64(uint64_t{wide.words[1]} << 32 | wide.words[0]);
  }
  CAISSON_HOST_DEVICE static Wide Widen(uint32_t narrow) {
    const uint64_t made = Float64FromFloat32(narrow);
    return {{static_cast<uint32_t>(made), static_cast<uint32_t>(made >> 32)}};
  }
};

using BFloat16Codec = SmallCodec<BFloat16>;
using Float16Codec = SmallCodec<Float16>;
using Float8E5M2Codec = SmallCodec<Float8E5M2>;
using Float8E4M3Codec = SmallCodec<Float8E4M3>;

}  // namespace caisson::cuda
