// SPDX-License-Identifier: Apache-2.0
//
// Bytes that look random and are the same in every run and on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace caisson {

// Fills `bytes` with the xorshift64* stream of `seed` (Vigna, 2016).
inline void FillRandom(std::span<std::byte> bytes, uint64_t seed) {
  uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;
  for (std::byte& byte : bytes) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    byte = static_cast<std::byte>((state * 0x2545F4914F6CDD1D) >> 56);
  }
}

inline std::vector<std::byte> RandomBytes(size_t bytes, uint64_t seed) {
  std::vector<std::byte> result(bytes);
  FillRandom(result, seed);
  return result;
}

}  // namespace caisson
