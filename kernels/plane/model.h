// SPDX-License-Identifier: Apache-2.0
//
// The table of symbols that a chunk is coded with, made from a fixed sample of
// it by integers alone, so that every machine makes the same. docs/codec.md 5.
//
// Pure; any thread, on either side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/host_device.h"

namespace caisson::plane {

inline constexpr uint32_t kRows = 32;  // of a table
inline constexpr uint32_t kEscape = 31;
inline constexpr uint32_t kSlots = 128;

// As it lies in the coded part. Rows below kEscape that are used come first,
// by symbol; of others both numbers are 0.
struct Model {
  uint8_t symbols[kRows];
  uint8_t freqs[kRows];
};

// The sample is the elements whose index modulo 1024 is below 64.
inline constexpr uint32_t kSampleStride = 1024;
inline constexpr uint32_t kSampleRun = 64;

CAISSON_HOST_DEVICE constexpr uint32_t SampleElems(uint32_t elems) {
  const uint32_t rest = elems % kSampleStride;
  return elems / kSampleStride * kSampleRun +
         (rest < kSampleRun ? rest : kSampleRun);
}

// Whether a symbol may have a row of its own.
CAISSON_HOST_DEVICE constexpr bool IsFrequent(uint32_t count, uint32_t sample) {
  return count > 0 && uint64_t{512} * count >= sample;
}

// Of frequent symbols those with the largest keys get rows.
CAISSON_HOST_DEVICE constexpr uint32_t KeyOf(uint32_t count, uint32_t symbol) {
  return count << 8 | (255 - symbol);
}

// Gives rows with `counts` frequencies that add up to kSlots.
CAISSON_HOST_DEVICE inline void Normalize(const uint32_t counts[kRows],
                                          uint8_t freqs[kRows]) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < kRows; ++i) total += counts[i];
  uint32_t sum = 0;
  for (uint32_t i = 0; i < kRows; ++i) {
    freqs[i] = 0;
    if (counts[i] == 0) continue;
    const uint64_t rounded =
        (2 * kSlots * uint64_t{counts[i]} + total) / (2 * total);
    freqs[i] = static_cast<uint8_t>(rounded < 1 ? 1 : rounded);
    sum += freqs[i];
  }
  for (; sum < kSlots; ++sum) {
    uint32_t best = kEscape;  // the largest count / (2 f + 1), the least row
    for (uint32_t i = kRows; i-- > 0;) {
      if (uint64_t{counts[i]} * (2 * freqs[best] + 1) >=
          uint64_t{counts[best]} * (2 * freqs[i] + 1)) {
        best = i;
      }
    }
    ++freqs[best];
  }
  for (; sum > kSlots; --sum) {
    uint32_t best = kRows;  // the least count / (2 f - 1), the least row
    for (uint32_t i = 0; i < kRows; ++i) {
      if (freqs[i] < 2) continue;
      if (best == kRows || uint64_t{counts[i]} * (2 * freqs[best] - 1) <
                               uint64_t{counts[best]} * (2 * freqs[i] - 1)) {
        best = i;
      }
    }
    --freqs[best];
  }
}

// 256 log2(kSlots / freq), rounded: what a symbol costs, in parts of a bit. By
// repeated squaring, with 12 bits after the point to round from.
CAISSON_HOST_DEVICE constexpr uint32_t CostOf(uint32_t freq) {
  uint64_t value = (uint64_t{kSlots} << 32) / freq;
  uint32_t log = 0;
  while (value >= uint64_t{2} << 32) {
    value >>= 1;
    log += 1 << 12;
  }
  for (uint32_t bit = 1 << 11; bit > 0; bit >>= 1) {
    value = (value >> 16) * (value >> 16);
    if (value >= uint64_t{2} << 32) {
      value >>= 1;
      log += bit;
    }
  }
  return (log + 8) >> 4;
}

// Whether symbols of a sample that cost so much, in 1/256 of a bit, are better
// not coded.
CAISSON_HOST_DEVICE constexpr bool IsNoise(uint64_t cost, uint32_t sample) {
  return cost > uint64_t{sample} * 8 * 256;
}

// The largest R16 chunk that is worth it: 97 % of what it stands for.
CAISSON_HOST_DEVICE constexpr uint64_t WorthBytes(uint64_t bytes) {
  return bytes * 97 / 100;
}

}  // namespace caisson::plane
