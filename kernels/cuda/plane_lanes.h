// SPDX-License-Identifier: Apache-2.0
//
// The plane codec as a block of 256 threads does it: a chunk to a block, a
// segment to a warp, a state to a lane. Written once for the device, where a
// Block is one thread of it and its Warp one lane, and for the host, where they
// are loops over all of them; what differs is in these two classes.
//
// A Block has:
//   ForThreads(fn)   fn(thread) for its threads
//   ForWarps(fn)     fn(warp, Warp) for its warps
//   Sync()           what threads wrote is seen by all
//   Add, Or          atomics on shared memory
// A Warp has:
//   Var<T>           a value of each lane, v[lane]
//   ForLanes(fn)     fn(lane)
//   Ballot(var)      bit i: lane i has true
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/plane_chunk.h"
#include "kernels/host_device.h"
#include "kernels/plane/coded_part.h"
#include "kernels/plane/coder.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/model.h"

namespace caisson::cuda {

inline constexpr uint32_t kPlaneThreads = 256;

CAISSON_HOST_DEVICE inline uint32_t CountBits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return static_cast<uint32_t>(__popc(bits));
#else
  return static_cast<uint32_t>(__builtin_popcount(bits));
#endif
}

// How many of the lanes in `bits` are before `lane`.
CAISSON_HOST_DEVICE inline uint32_t Rank(uint32_t bits, uint32_t lane) {
  return CountBits(bits & ((1u << lane) - 1));
}

// A little-endian word of kWidth bytes, at any alignment; one access where it
// is aligned.
template <uint32_t kWidth>
struct WordOfBytes;
template <>
struct WordOfBytes<1> {
  using Type = uint8_t;
};
template <>
struct WordOfBytes<2> {
  using Type = uint16_t;
};
template <>
struct WordOfBytes<4> {
  using Type = uint32_t;
};
template <>
struct WordOfBytes<8> {
  using Type = uint64_t;
};

template <uint32_t kWidth>
CAISSON_HOST_DEVICE inline uint64_t LoadWord(const uint8_t* at) {
  using Word = typename WordOfBytes<kWidth>::Type;
  if (reinterpret_cast<uintptr_t>(at) % kWidth == 0) {
    return *reinterpret_cast<const Word*>(at);
  }
  uint64_t word = 0;
  for (uint32_t i = 0; i < kWidth; ++i) word |= uint64_t{at[i]} << 8 * i;
  return word;
}

template <uint32_t kWidth>
CAISSON_HOST_DEVICE inline void StoreWord(uint64_t word, uint8_t* at) {
  using Word = typename WordOfBytes<kWidth>::Type;
  if (reinterpret_cast<uintptr_t>(at) % kWidth == 0) {
    *reinterpret_cast<Word*>(at) = static_cast<Word>(word);
    return;
  }
  for (uint32_t i = 0; i < kWidth; ++i) {
    at[i] = static_cast<uint8_t>(word >> 8 * i);
  }
}

// x / freq, for x of 16 bits and `inverse` of InverseOf(freq).
CAISSON_HOST_DEVICE constexpr uint32_t InverseOf(uint32_t freq) {
  return freq < 2 ? 0 : 0xFFFFFFFFu / freq + 1;
}
CAISSON_HOST_DEVICE inline uint32_t Quotient(uint32_t x, uint32_t inverse) {
  if (inverse == 0) return x;
  return static_cast<uint32_t>(uint64_t{x} * inverse >> 32);
}

}  // namespace caisson::cuda
