// SPDX-License-Identifier: Apache-2.0
#include "bench/buffers.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>

namespace caisson::bench {
namespace {

constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kHalfSmallPage = 2048;

// xorshift64* (Vigna, 2016).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15 + 1) {}

  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1D;
  }

 private:
  uint64_t state_;
};

// A floating-point type of sign, exponent and mantissa.
struct Float {
  int exponent_bits;
  int mantissa_bits;
};

// A number of magnitude 2^-6 to 1 out of 64 random bits.
uint64_t NumberOf(const Float& type, uint64_t random) {
  const uint64_t sign = random >> 63;
  const uint64_t below_one = 1 + (((random >> 40) & 0xFFFF) * 6 >> 16);
  const uint64_t bias = (uint64_t{1} << (type.exponent_bits - 1)) - 1;
  const uint64_t mantissa = random & ((uint64_t{1} << type.mantissa_bits) - 1);
  return (sign << (type.exponent_bits + type.mantissa_bits)) |
         ((bias - below_one) << type.mantissa_bits) | mantissa;
}

template <class Word, class Make>
void FillWords(std::span<std::byte> bytes, Random random, Make make) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(Word)) {
    const Word word = static_cast<Word>(make(random.Next()));
    std::memcpy(&bytes[i], &word, sizeof(word));
  }
}

template <class Word>
void FillNumbers(std::span<std::byte> bytes, Random random, Float type) {
  FillWords<Word>(bytes, random,
                  [&](uint64_t bits) { return NumberOf(type, bits); });
}

void Fill(DType dtype, std::span<std::byte> bytes, Random random) {
  switch (dtype) {
    case DType::kFloat64:
      return FillNumbers<uint64_t>(bytes, random, {11, 52});
    case DType::kFloat32:
      return FillNumbers<uint32_t>(bytes, random, {8, 23});
    case DType::kFloat16:
      return FillNumbers<uint16_t>(bytes, random, {5, 10});
    case DType::kBFloat16:
      return FillNumbers<uint16_t>(bytes, random, {8, 7});
    case DType::kFloat8E4M3Fn:
      return FillNumbers<uint8_t>(bytes, random, {4, 3});
    case DType::kInt64:
      return FillWords<int64_t>(bytes, random, [](uint64_t bits) {
        return static_cast<int32_t>(bits >> 32);
      });
    default:
      return FillWords<uint64_t>(bytes, random,
                                 [](uint64_t bits) { return bits; });
  }
}

// Address space for kMostBytes, of which the first part is filled.
class Arena {
 public:
  explicit Arena(DType dtype) : dtype_(dtype) {
    const size_t reserved = kMostBytes + 2 * kPage;
    void* const memory =
        mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("kernels_bench: mmap");
      std::exit(1);
    }
    const auto address = reinterpret_cast<uintptr_t>(memory);
    const size_t skip = (kPage - address % kPage) % kPage;
    data_ = static_cast<std::byte*>(memory) + skip;
    madvise(data_, kMostBytes + kPage, MADV_HUGEPAGE);
  }

  std::byte* Filled(size_t bytes) {
    for (; filled_ < bytes; filled_ += kPage) {
      Fill(dtype_, {data_ + filled_, kPage}, Random(filled_ / kPage));
    }
    return data_;
  }

 private:
  DType dtype_;
  std::byte* data_ = nullptr;
  size_t filled_ = 0;
};

}  // namespace

const std::byte* Source(DType dtype, size_t bytes) {
  static std::map<DType, Arena> arenas;
  return arenas.try_emplace(dtype, dtype).first->second.Filled(bytes);
}

std::byte* Destination(size_t bytes) {
  static Arena arena(DType::kUInt8);
  return arena.Filled(bytes + kHalfSmallPage) + kHalfSmallPage;
}

}  // namespace caisson::bench
