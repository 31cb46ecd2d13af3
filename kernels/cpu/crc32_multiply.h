// SPDX-License-Identifier: Apache-2.0
//
// Products of 32-bit remainders modulo the polynomial of CRC-32, all
// bit-reflected: bit i is the coefficient of x^(31-i). Pure; any thread.
#pragma once

#include <cstdint>

namespace caisson::cpu {

// a * b * x^33 modulo P, by carry-less multiplication where there is one. Who
// wants a * b prepares one factor by kCrc32X33Inverse.
uint32_t MultiplyCrc32(uint32_t a, uint32_t b);

// a * b modulo P, bit by bit.
constexpr uint32_t MultiplyCrc32ByBit(uint32_t a, uint32_t b) {
  constexpr uint32_t kPolynomial = 0xEDB88320;  // RFC 1952 section 8
  uint32_t product = 0;
  for (int i = 31; i >= 0; --i) {
    product ^= (0 - ((a >> i) & 1)) & b;
    b = (b >> 1) ^ ((0 - (b & 1)) & kPolynomial);
  }
  return product;
}

}  // namespace caisson::cpu
