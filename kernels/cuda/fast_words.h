// SPDX-License-Identifier: Apache-2.0
//
// The words of the steps that checkpoints are made of, for jobs whose memory
// is aligned: one load and at most one store for each word of the grid, no
// branches, and loads that do not depend on each other.
//
// A class of words has a Raw, which is what Load(word) reads; CrcWord(raw),
// the word of the primary stream; and Store(word, raw). Only words that lie
// wholly in the stream are asked for. kInFlight is how many a lane loads
// before it uses the first.
//
// Pure; any thread, on either side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/codecs.h"
#include "kernels/cuda/launch.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

CAISSON_HOST_DEVICE inline uint32_t ReversePairs(uint32_t word) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(word, 0, 0x2301);
#else
  return (word >> 8 & 0x00FF00FF) | (word & 0x00FF00FF) << 8;
#endif
}

CAISSON_HOST_DEVICE inline uint32_t ReverseWord(uint32_t word) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(word, 0, 0x0123);
#else
  return __builtin_bswap32(word);
#endif
}

// Where the grid begins in memory that has, for each byte of it, `halves` half
// bytes: 2 is as many, 4 twice as many. Null for null.
template <typename T>
CAISSON_HOST_DEVICE inline T* GridStart(std::byte* first, uint32_t shift,
                                        uint32_t halves) {
  if (first == nullptr) return nullptr;
  return reinterpret_cast<T*>(first - static_cast<ptrdiff_t>(shift) *
                                          static_cast<ptrdiff_t>(halves) / 2);
}
template <typename T>
CAISSON_HOST_DEVICE inline const T* GridStart(const std::byte* first,
                                              uint32_t shift, uint32_t halves) {
  return GridStart<const T>(const_cast<std::byte*>(first), shift, halves);
}

class CopyWords {
 public:
  using Raw = uint32_t;
  static constexpr int kInFlight = 32;
  static constexpr uint32_t kUnit = 1;       // the shift's alignment
  static constexpr uint32_t kSrcHalves = 2;  // as GridStart() has them
  static constexpr uint32_t kDstHalves = 2;
  static constexpr uint32_t kSrcAccess = 4;  // bytes
  static constexpr uint32_t kDstAccess = 4;

  CAISSON_HOST_DEVICE explicit CopyWords(const LaunchJob& job)
      : src_(GridStart<uint32_t>(job.src, job.shift, kSrcHalves)),
        dst_(GridStart<uint32_t>(job.dst, job.shift, kDstHalves)) {}

  CAISSON_HOST_DEVICE Raw Load(uint64_t word) const { return src_[word]; }
  CAISSON_HOST_DEVICE static uint32_t CrcWord(Raw raw) { return raw; }
  CAISSON_HOST_DEVICE void Store(uint64_t word, Raw raw) const {
    if (dst_ != nullptr) dst_[word] = raw;
  }

 private:
  const uint32_t* src_;
  uint32_t* dst_;
};

// Reverses units of `width` bytes; the CRC is that of what is read, or stored.
template <uint32_t width, bool of_source>
class SwapWords {
 public:
  using Raw = uint32_t;
  static constexpr int kInFlight = 32;
  static constexpr uint32_t kUnit = width;
  static constexpr uint32_t kSrcHalves = 2;
  static constexpr uint32_t kDstHalves = 2;
  static constexpr uint32_t kSrcAccess = 4;
  static constexpr uint32_t kDstAccess = 4;

  CAISSON_HOST_DEVICE explicit SwapWords(const LaunchJob& job)
      : src_(GridStart<uint32_t>(job.src, job.shift, kSrcHalves)),
        dst_(GridStart<uint32_t>(job.dst, job.shift, kDstHalves)) {}

  CAISSON_HOST_DEVICE Raw Load(uint64_t word) const {
    return src_[of_source ? word : Other(word)];
  }
  CAISSON_HOST_DEVICE static uint32_t CrcWord(Raw raw) {
    return of_source ? raw : Swapped(raw);
  }
  CAISSON_HOST_DEVICE void Store(uint64_t word, Raw raw) const {
    if (dst_ != nullptr) dst_[of_source ? Other(word) : word] = Swapped(raw);
  }

 private:
  // The halves of a unit of 8 change places.
  CAISSON_HOST_DEVICE static uint64_t Other(uint64_t word) {
    return width == 8 ? word ^ 1 : word;
  }
  CAISSON_HOST_DEVICE static uint32_t Swapped(uint32_t word) {
    return width == 2 ? ReversePairs(word) : ReverseWord(word);
  }

  const uint32_t* src_;
  uint32_t* dst_;
};

// Wide elements made narrow, with the CRC of what is stored.
template <class Codec>
class NarrowWords {
 public:
  using Raw = typename Codec::Wide;
  static constexpr int kInFlight = 32 / Codec::kWords;
  static constexpr uint32_t kUnit = Codec::kUnit;
  static constexpr uint32_t kSrcHalves = 2 * Codec::kWords;
  static constexpr uint32_t kDstHalves = 2;
  static constexpr uint32_t kSrcAccess = 4 * Codec::kWords;
  static constexpr uint32_t kDstAccess = 4;

  CAISSON_HOST_DEVICE explicit NarrowWords(const LaunchJob& job)
      : src_(GridStart<Raw>(job.src, job.shift, kSrcHalves)),
        dst_(GridStart<uint32_t>(job.dst, job.shift, kDstHalves)) {}

  CAISSON_HOST_DEVICE Raw Load(uint64_t word) const { return src_[word]; }
  CAISSON_HOST_DEVICE static uint32_t CrcWord(Raw raw) {
    return Codec::Narrow(raw);
  }
  CAISSON_HOST_DEVICE void Store(uint64_t word, Raw raw) const {
    if (dst_ != nullptr) dst_[word] = CrcWord(raw);
  }

 private:
  const Raw* src_;
  uint32_t* dst_;
};

// Narrow elements made wide, with the CRC of what is read.
template <class Codec>
class WidenWords {
  using Wide = typename Codec::Wide;

 public:
  using Raw = uint32_t;
  static constexpr int kInFlight = 32;
  static constexpr uint32_t kUnit = Codec::kUnit;
  static constexpr uint32_t kSrcHalves = 2;
  static constexpr uint32_t kDstHalves = 2 * Codec::kWords;
  static constexpr uint32_t kSrcAccess = 4;
  static constexpr uint32_t kDstAccess = 4 * Codec::kWords;

  CAISSON_HOST_DEVICE explicit WidenWords(const LaunchJob& job)
      : src_(GridStart<uint32_t>(job.src, job.shift, kSrcHalves)),
        dst_(GridStart<Wide>(job.dst, job.shift, kDstHalves)) {}

  CAISSON_HOST_DEVICE Raw Load(uint64_t word) const { return src_[word]; }
  CAISSON_HOST_DEVICE static uint32_t CrcWord(Raw raw) { return raw; }
  CAISSON_HOST_DEVICE void Store(uint64_t word, Raw raw) const {
    if (dst_ != nullptr) dst_[word] = Codec::Widen(raw);
  }

 private:
  const uint32_t* src_;
  Wide* dst_;
};

}  // namespace caisson::cuda
