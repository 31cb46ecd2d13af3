// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 by 32 lanes side by side. The message is rows of 32 words, and lane l
// has word l of each: its column. Two words of a column lie 1024 bits apart,
// and modulo 2 P(x)^1024 = P(x^1024), so what P is to the bits of a message it
// is to the words of a column: a shift register of 32 words with the taps of P
// divides it, by seven three-input xors for each word, without tables and
// without multiplication.
//
// Every index is a constant once loops are unrolled, so that the register
// stays in registers. Pure; any thread.
#pragma once

#include <cstdint>

#include "kernels/cuda/crc32_power.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

inline constexpr int kLanes = 32;
inline constexpr uint32_t kRowBytes = 4 * kLanes;
inline constexpr int kSlabRows = 32;  // as many as the register has words
inline constexpr uint32_t kSlabBytes = kRowBytes * kSlabRows;

class Crc32Column {
 public:
  // Takes the next word of the column, of that row of a slab. Slabs come whole,
  // their rows in order.
  CAISSON_HOST_DEVICE void Add(int row, uint32_t word) {
    constexpr int taps[] = {26, 23, 22, 16, 12, 11, 10, 8, 7, 5, 4, 2, 1};
    word ^= At(row);
    CAISSON_UNROLL
    for (int k = 0; k < 13; ++k) word ^= At(row + taps[k]);
    At(row) = word;
  }

  // Takes the column's last slab, of which row i is words[i * stride]. Returns
  // the sum of words[i] * x^(1024 * rows after it) over all rows of all slabs,
  // modulo P. `by_row` is Crc32RowTables::by_row, where it is read fastest.
  CAISSON_HOST_DEVICE uint32_t Finish(const uint32_t* words, int stride,
                                      const uint32_t* by_row) {
    constexpr int owed[] = {6,  9,  10, 16, 20, 21, 22,
                            24, 25, 27, 28, 30, 31, 32};
    uint32_t sum = 0;
    CAISSON_UNROLL
    for (int i = 0; i < kSlabRows; ++i) {
      uint32_t word = words[i * stride];
      // What the register still owes to the rows that come.
      CAISSON_UNROLL
      for (int k = 0; k < 14; ++k) {
        if (owed[k] > i) word ^= At(i - owed[k]);
      }
      sum = by_row[sum & 0xFF] ^ by_row[256 + (sum >> 8 & 0xFF)] ^
            by_row[512 + (sum >> 16 & 0xFF)] ^ by_row[768 + (sum >> 24)] ^ word;
    }
    return sum;
  }

 private:
  CAISSON_HOST_DEVICE uint32_t& At(int i) { return register_[i & 31]; }

  uint32_t register_[32] = {};
};

// What a column's sum is worth in the whole: times x^(32 * lanes after it),
// times x^32 for the CRC itself, times x^(8 * `after`) for the bytes that
// follow the last row. The xor of all columns is the remainder of the message;
// zeros before it change nothing.
CAISSON_HOST_DEVICE inline uint32_t WeighColumn(uint32_t sum, int lane,
                                                uint32_t after) {
  return MultiplyCrc32(sum, Crc32PowerOfByte(after, Crc32LaneWeight(lane)));
}

}  // namespace caisson::cuda
