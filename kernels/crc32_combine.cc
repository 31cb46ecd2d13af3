// SPDX-License-Identifier: Apache-2.0
//
// The CRC of A followed by B is that of A times x^(8 * bytes of B), modulo P,
// plus that of B: initial values and final xors cancel. Polynomials are
// bit-reflected, as CRC-32 has them: bit i is the coefficient of x^(31-i).
#include <array>

#include "caisson/crc32.h"

namespace caisson {
namespace {

constexpr uint32_t kPolynomial = 0xEDB88320;  // RFC 1952 section 8
constexpr uint32_t kOne = 0x80000000;
constexpr uint32_t kX = kOne >> 1;

// a * b modulo P.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 31; i >= 0; --i) {
    product ^= (0 - ((a >> i) & 1)) & b;
    b = (b >> 1) ^ ((0 - (b & 1)) & kPolynomial);
  }
  return product;
}

constexpr uint32_t Square(uint32_t a, int times) {
  for (; times > 0; --times) a = Multiply(a, a);
  return a;
}

// Powers of x come back after 2^32 - 1, and those of x^8 with them.
constexpr uint64_t kPeriod = 0xFFFFFFFF;
static_assert(Square(kX, 32) == kX);

// kPowers[i][d] is x^(8 * d * 256^i): one row for each byte of a length, so
// that four multiplications reach every length.
using Powers = std::array<std::array<uint32_t, 256>, 4>;

constexpr Powers MakePowers() {
  Powers powers{};
  uint32_t base = Square(kX, 3);
  for (auto& row : powers) {
    row[0] = kOne;
    for (size_t d = 1; d < 256; ++d) row[d] = Multiply(row[d - 1], base);
    base = Square(base, 8);
  }
  return powers;
}

constexpr Powers kPowers = MakePowers();

}  // namespace

uint32_t Crc32Combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b) {
  uint64_t length = bytes_b % kPeriod;
  for (size_t i = 0; length != 0; ++i, length >>= 8) {
    const size_t digit = length & 0xFF;
    if (digit != 0) crc_a = Multiply(crc_a, kPowers[i][digit]);
  }
  return crc_a ^ crc_b;
}

}  // namespace caisson
