// SPDX-License-Identifier: Apache-2.0
//
// The CRC of A followed by B is that of A times x^(8 * bytes of B), modulo P,
// plus that of B: initial values and final xors cancel.
#include <array>

#include "caisson/crc32.h"
#include "kernels/cpu/crc32_constants.h"
#include "kernels/cpu/crc32_multiply.h"

namespace caisson {
namespace cpu {
namespace {

constexpr uint32_t kOne = 0x80000000;
constexpr uint32_t kX = kOne >> 1;

constexpr uint32_t Square(uint32_t a, int times) {
  for (; times > 0; --times) a = MultiplyCrc32ByBit(a, a);
  return a;
}

// Powers of x come back after 2^32 - 1, and those of x^8 with them.
constexpr uint64_t kPeriod = 0xFFFFFFFF;
static_assert(Square(kX, 32) == kX);
static_assert(MultiplyCrc32ByBit(kCrc32X33, kCrc32X33Inverse) == kOne);

// kPowers[i][d] is x^(8 * d * 256^i), prepared for MultiplyCrc32: one row for
// each byte of a length, so that four multiplications reach every length.
using Powers = std::array<std::array<uint32_t, 256>, 4>;

constexpr Powers MakePowers() {
  Powers powers{};
  uint32_t base = Square(kX, 3);
  for (auto& row : powers) {
    row[0] = kCrc32X33Inverse;
    for (size_t d = 1; d < 256; ++d) {
      row[d] = MultiplyCrc32ByBit(row[d - 1], base);
    }
    base = Square(base, 8);
  }
  return powers;
}

constexpr Powers kPowers = MakePowers();

}  // namespace
}  // namespace cpu

uint32_t Crc32Combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b) {
  uint64_t length = bytes_b % cpu::kPeriod;
  for (size_t i = 0; length != 0; ++i, length >>= 8) {
    const size_t digit = length & 0xFF;
    if (digit != 0) crc_a = cpu::MultiplyCrc32(crc_a, cpu::kPowers[i][digit]);
  }
  return crc_a ^ crc_b;
}

}  // namespace caisson
