// SPDX-License-Identifier: Apache-2.0
//
// The last block is marked in its first bit, and where blocks begin only
// decoding tells: symbols are decoded bit by bit and forgotten.
#include "kernels/cpu/deflate_join.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace caisson::cpu {
namespace {

constexpr uint32_t kEndOfBlock = 256;

class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }  // in bits
  bool past_end() const { return position_ > 8 * bytes_.size(); }

  uint32_t Bit() {
    const size_t at = position_++;
    if (at >= 8 * bytes_.size()) return 0;
    return (std::to_integer<uint32_t>(bytes_[at / 8]) >> at % 8) & 1;
  }

  uint32_t Bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value |= Bit() << i;
    return value;
  }

  void SkipToByte() { position_ = (position_ + 7) / 8 * 8; }
  void Skip(size_t bits) { position_ += bits; }

 private:
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

// A canonical Huffman code: section 3.2.2.
class Code {
 public:
  static constexpr int kMostBits = 15;

  explicit Code(std::span<const uint8_t> lengths) {
    for (const uint8_t length : lengths) ++counts_[length];
    counts_[0] = 0;
    std::array<uint16_t, kMostBits + 2> next = {};
    for (int length = 1; length <= kMostBits; ++length) {
      next[length + 1] = static_cast<uint16_t>(next[length] + counts_[length]);
    }
    for (size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] == 0) continue;
      symbols_[next[lengths[symbol]]++] = static_cast<uint16_t>(symbol);
    }
  }

  // None if no symbol has such a code.
  std::optional<uint32_t> Next(BitReader& bits) const {
    int code = 0;
    int first = 0;
    int index = 0;
    for (int length = 1; length <= kMostBits; ++length) {
      code |= static_cast<int>(bits.Bit());
      const int count = counts_[length];
      if (code - first < count) return symbols_[index + (code - first)];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return std::nullopt;
  }

 private:
  std::array<uint16_t, kMostBits + 1> counts_ = {};
  std::array<uint16_t, 288> symbols_ = {};
};

// Bits that follow a length or a distance: section 3.2.5.
int LengthExtra(uint32_t symbol) {
  if (symbol < 265 || symbol == 285) return 0;
  return static_cast<int>((symbol - 261) / 4);
}
int DistanceExtra(uint32_t symbol) {
  return symbol < 4 ? 0 : static_cast<int>(symbol / 2 - 1);
}

// Passes over the symbols of a block; false if they make no sense.
bool PassSymbols(const Code& literals, const Code& distances, BitReader& bits) {
  while (!bits.past_end()) {
    const auto symbol = literals.Next(bits);
    if (!symbol || *symbol > 285) return false;
    if (*symbol == kEndOfBlock) return true;
    if (*symbol < kEndOfBlock) continue;
    bits.Skip(LengthExtra(*symbol));
    const auto distance = distances.Next(bits);
    if (!distance || *distance > 29) return false;
    bits.Skip(DistanceExtra(*distance));
  }
  return false;
}

// Section 3.2.6.
bool PassFixed(BitReader& bits) {
  std::array<uint8_t, 288> lengths;
  for (size_t i = 0; i < lengths.size(); ++i) {
    lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  }
  std::array<uint8_t, 30> distances;
  distances.fill(5);
  return PassSymbols(Code(lengths), Code(distances), bits);
}

// Section 3.2.7.
bool PassDynamic(BitReader& bits) {
  static constexpr uint8_t kOrder[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                       11, 4,  12, 3, 13, 2, 14, 1, 15};
  const size_t literals = bits.Bits(5) + 257;
  const size_t distances = bits.Bits(5) + 1;
  const size_t given = bits.Bits(4) + 4;
  std::array<uint8_t, 19> meta = {};
  for (size_t i = 0; i < given; ++i) {
    meta[kOrder[i]] = static_cast<uint8_t>(bits.Bits(3));
  }
  const Code code(meta);
  std::array<uint8_t, 288 + 32> lengths = {};
  const size_t total = literals + distances;
  if (literals > 288) return false;
  for (size_t at = 0; at < total;) {
    const auto symbol = code.Next(bits);
    if (!symbol || bits.past_end()) return false;
    if (*symbol < 16) {
      lengths[at++] = static_cast<uint8_t>(*symbol);
      continue;
    }
    const uint8_t value = *symbol == 16 && at > 0 ? lengths[at - 1] : 0;
    const size_t times = *symbol == 16   ? 3 + bits.Bits(2)
                         : *symbol == 17 ? 3 + bits.Bits(3)
                                         : 11 + bits.Bits(7);
    if (times > total - at) return false;
    std::fill_n(&lengths[at], times, value);
    at += times;
  }
  return PassSymbols(Code(std::span(lengths).first(literals)),
                     Code(std::span(lengths).subspan(literals, distances)),
                     bits);
}

// Section 3.2.4.
bool PassStored(BitReader& bits) {
  bits.SkipToByte();
  const uint32_t length = bits.Bits(16);
  bits.Skip(16 + size_t{8} * length);
  return !bits.past_end();
}

bool PassBlock(uint32_t type, BitReader& bits) {
  if (type == 0) return PassStored(bits);
  if (type == 1) return PassFixed(bits);
  return type == 2 && PassDynamic(bits);
}

}  // namespace

size_t OpenStream(std::span<std::byte> dst, size_t bytes) {
  BitReader bits(dst.first(bytes));
  size_t header = 0;
  bool last = false;
  while (!last) {
    header = bits.position();
    last = bits.Bit() == 1;
    if (!PassBlock(bits.Bits(2), bits) || bits.past_end()) return 0;
  }
  const size_t end = bits.position();
  if ((end + 7) / 8 != bytes) return 0;
  dst[header / 8] &= ~(std::byte{1} << header % 8);
  // A stored block's header is three zero bits and zeros up to the next byte;
  // the encoder left zeros behind its last symbol.
  size_t at = bytes;
  if (8 * bytes - end < 3) dst[at++] = std::byte{0};
  for (const uint8_t byte : {0, 0, 0xff, 0xff}) dst[at++] = std::byte{byte};
  return at;
}

}  // namespace caisson::cpu
