// SPDX-License-Identifier: Apache-2.0
//
// Slicing-by-8 (Kounavis and Berry, 2005): eight independent look-ups for
// eight bytes, where the classic loop has a chain of eight.
#include "kernels/cpu/crc32_table.h"

#include <array>

namespace caisson::cpu {
namespace {

constexpr uint32_t kPolynomial = 0xEDB88320;  // RFC 1952 section 8
constexpr size_t kSlices = 8;

// kTables[k][b] is the register after byte b and k bytes of zero.
using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t state = b;
    for (int bit = 0; bit < 8; ++bit) {
      state = (state >> 1) ^ ((state & 1) != 0 ? kPolynomial : 0);
    }
    tables[0][b] = state;
  }
  for (size_t k = 1; k < kSlices; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      const uint32_t state = tables[k - 1][b];
      tables[k][b] = (state >> 8) ^ tables[0][state & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

// Compilers turn this into one load where bytes lie in this order.
uint32_t LoadLittleEndian32(const uint8_t* src) {
  return uint32_t{src[0]} | uint32_t{src[1]} << 8 | uint32_t{src[2]} << 16 |
         uint32_t{src[3]} << 24;
}

}  // namespace

uint32_t Crc32ByTable(uint32_t state, const uint8_t* src, size_t bytes) {
  for (; bytes >= kSlices; src += kSlices, bytes -= kSlices) {
    const uint32_t low = state ^ LoadLittleEndian32(src);
    const uint32_t high = LoadLittleEndian32(src + 4);
    state = kTables[7][low & 0xFF] ^ kTables[6][(low >> 8) & 0xFF] ^
            kTables[5][(low >> 16) & 0xFF] ^ kTables[4][low >> 24] ^
            kTables[3][high & 0xFF] ^ kTables[2][(high >> 8) & 0xFF] ^
            kTables[1][(high >> 16) & 0xFF] ^ kTables[0][high >> 24];
  }
  for (; bytes > 0; ++src, --bytes) {
    state = (state >> 8) ^ kTables[0][(state ^ *src) & 0xFF];
  }
  return state;
}

}  // namespace caisson::cpu
