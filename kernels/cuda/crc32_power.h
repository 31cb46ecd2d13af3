// SPDX-License-Identifier: Apache-2.0
//
// Powers of x modulo P, the polynomial of CRC-32, and what multiplies by them.
// Bit-reflected: bit i of a word is the coefficient of x^(31-i).
//
// Tables are constants; pure functions of any thread, on either side.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

namespace caisson::cuda {

inline constexpr uint32_t kOne = 0x80000000;
inline constexpr uint32_t kX = kOne >> 1;

// Powers of x come back after 2^32 - 1, and those of x^8 with them.
inline constexpr uint64_t kCrc32Period = 0xFFFFFFFF;

// a * b modulo P, bit by bit: a device has no carry-less multiplication.
CAISSON_HOST_DEVICE constexpr uint32_t MultiplyCrc32(uint32_t a, uint32_t b) {
  constexpr uint32_t kPolynomial = 0xEDB88320;  // RFC 1952 section 8
  uint32_t product = 0;
  CAISSON_UNROLL
  for (int i = 0; i < 32; ++i) {
    product ^= (0 - (a >> 31)) & b;
    a <<= 1;
    b = (b >> 1) ^ ((0 - (b & 1)) & kPolynomial);
  }
  return product;
}

struct Crc32Powers {
  uint32_t by_row[4 * 256];   // byte i of a word, times x^1024
  uint32_t of_byte[4][256];   // x^(8 * d * 256^i)
  uint32_t lane_weights[32];  // x^(32 * (31 - lane) + 32)
};

constexpr Crc32Powers MakeCrc32Powers() {
  Crc32Powers powers{};
  uint32_t x8 = kX;
  for (int i = 0; i < 3; ++i) x8 = MultiplyCrc32(x8, x8);
  uint32_t base = x8;
  for (auto& row : powers.of_byte) {
    row[0] = kOne;
    for (int d = 1; d < 256; ++d) row[d] = MultiplyCrc32(row[d - 1], base);
    for (int i = 0; i < 8; ++i) base = MultiplyCrc32(base, base);
  }
  for (int lane = 0; lane < 32; ++lane) {
    powers.lane_weights[lane] = powers.of_byte[0][4 * (31 - lane) + 4];
  }
  const uint32_t row = powers.of_byte[0][128];  // x^1024
  for (uint32_t i = 0; i < 4; ++i) {
    // Bits are linear: a byte is the xor of its bits.
    uint32_t bits[8] = {};
    for (uint32_t b = 0; b < 8; ++b) {
      bits[b] = MultiplyCrc32(uint32_t{1} << (8 * i + b), row);
    }
    for (uint32_t byte = 0; byte < 256; ++byte) {
      for (uint32_t b = 0; b < 8; ++b) {
        if ((byte >> b & 1) != 0) powers.by_row[256 * i + byte] ^= bits[b];
      }
    }
  }
  return powers;
}

inline constexpr Crc32Powers kHostCrc32Powers = MakeCrc32Powers();

#if defined(__CUDACC__)
__device__ const Crc32Powers kDeviceCrc32Powers = MakeCrc32Powers();
#endif

// The tables of the side that asks.
CAISSON_HOST_DEVICE inline const Crc32Powers& Crc32PowerTables() {
#if defined(__CUDA_ARCH__)
  return kDeviceCrc32Powers;
#else
  return kHostCrc32Powers;
#endif
}

CAISSON_HOST_DEVICE inline uint32_t Crc32LaneWeight(int lane) {
  return Crc32PowerTables().lane_weights[lane];
}

// `factor` times x^(8 * bytes).
CAISSON_HOST_DEVICE inline uint32_t Crc32PowerOfByte(uint32_t bytes,
                                                     uint32_t factor) {
  for (int i = 0; bytes != 0; ++i, bytes >>= 8) {
    const uint32_t digit = bytes & 0xFF;
    if (digit == 0) continue;
    factor = MultiplyCrc32(factor, Crc32PowerTables().of_byte[i][digit]);
  }
  return factor;
}

}  // namespace caisson::cuda
