// SPDX-License-Identifier: Apache-2.0
//
// Elements taken apart and put together, and which lane codes which of them.
// docs/codec.md 2 and 3.
//
// Pure; any thread, on either side. Where the type is a constant, so is all
// that follows from it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/plane_chunk.h"
#include "kernels/host_device.h"

namespace caisson::plane {

inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kSteps = 16;  // of a superblock
inline constexpr uint32_t kSuperblock = kLanes * kSteps;
inline constexpr uint32_t kRowBytes = kLanes * 2;  // a word of each lane

// The exponents that symbols of a float64 from 1 to 255 stand for lie above
// this one; symbol 0 stands for exponent 0.
inline constexpr uint32_t kFloat64Base = 831;

CAISSON_HOST_DEVICE constexpr uint64_t LowBits(uint32_t count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// How integers are turned before they are taken apart: rotated left by some
// bytes, after kZigzag, if it is there, has made the sign the lowest bit, so
// that small ones of either sign have leading zeros.
inline constexpr uint32_t kZigzag = 0x80;
CAISSON_HOST_DEVICE constexpr uint32_t RotatedBytes(uint32_t turn) {
  return turn & ~kZigzag;
}

// An element as it is taken apart: an integer turned so, a float as it is.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint64_t Prepared(uint64_t bits, uint32_t turn) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  if (!kTraits.is_integer) return bits;
  constexpr uint32_t kBits = 8 * kTraits.width;
  if (turn & kZigzag) {
    const uint64_t sign = bits >> (kBits - 1) & 1;
    bits = ((bits << 1) ^ (0 - sign)) & LowBits(kBits);
  }
  const uint32_t rotated = 8 * RotatedBytes(turn);
  if (rotated == 0) return bits;
  return (bits << rotated | bits >> (kBits - rotated)) & LowBits(kBits);
}

// The inverse.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint64_t Restored(uint64_t word, uint32_t turn) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  if (!kTraits.is_integer) return word;
  constexpr uint32_t kBits = 8 * kTraits.width;
  const uint32_t rotated = 8 * RotatedBytes(turn);
  if (rotated != 0) {
    word = (word >> rotated | word << (kBits - rotated)) & LowBits(kBits);
  }
  if (turn & kZigzag) {
    word = (word >> 1 ^ (0 - (word & 1))) & LowBits(kBits);
  }
  return word;
}

// A prepared element, taken apart.
struct Parts {
  uint32_t symbol;
  uint32_t head;
  uint64_t rows;
};

// Bits of a float's mantissa that are part of its head.
template <PlaneType kType>
inline constexpr uint32_t kHeadMantissa = TraitsOf(kType).head_bits - 1;

// The lowest bit of the symbol.
template <PlaneType kType>
inline constexpr uint32_t kSymbolAt = TraitsOf(kType).rows * 16 +
                                      (TraitsOf(kType).head_bits == 0 ? 0
                                       : TraitsOf(kType).is_integer
                                           ? 8u
                                           : TraitsOf(kType).head_bits - 1u);

// Whether a prepared element has a symbol at all. An exponent of a float64 may
// be too small or too large for one; such a chunk is stored raw.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr bool HasSymbol(uint64_t word) {
  if (kType != PlaneType::kFloat64) return true;
  const uint32_t exponent = word >> 52 & 0x7FF;
  return exponent == 0 || exponent - (kFloat64Base + 1) < 255;
}

template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint32_t SymbolOf(uint64_t word) {
  if constexpr (kType == PlaneType::kFloat64) {
    const uint32_t exponent = word >> 52 & 0x7FF;
    return exponent == 0 ? 0 : (exponent - kFloat64Base) & 0xFF;
  }
  return word >> kSymbolAt<kType> & LowBits(TraitsOf(kType).symbol_bits);
}

template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr Parts TakenApart(uint64_t word) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  Parts parts = {SymbolOf<kType>(word), 0, word & LowBits(16 * kTraits.rows)};
  const uint64_t top = word >> 16 * kTraits.rows;
  if constexpr (kTraits.is_integer) {
    parts.head = top & 0xFF;
  } else if constexpr (kTraits.head_bits > 0) {
    constexpr uint32_t kMantissa = kHeadMantissa<kType>;
    const uint64_t sign = word >> (8 * kTraits.width - 1) & 1;
    parts.head =
        static_cast<uint32_t>(sign << kMantissa | (top & LowBits(kMantissa)));
  }
  return parts;
}

// Whether an escape may stand for this.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr bool IsSymbol(uint32_t symbol) {
  return symbol >> TraitsOf(kType).symbol_bits == 0;
}

// The upper 16 bits of an element (8 of one byte) that a symbol gives.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint32_t TopOf(uint32_t symbol) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  constexpr uint32_t kMask = kTraits.width == 1 ? 0xFF : 0xFFFF;
  if constexpr (kType == PlaneType::kFloat64) {
    return symbol == 0 ? 0 : (symbol + kFloat64Base) << 4;
  }
  return symbol << (kSymbolAt<kType> - 16 * kTraits.rows) & kMask;
}

// The same that a head gives.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint32_t TopOfHead(uint32_t head) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  if constexpr (kTraits.head_bits == 0) {
    return 0;
  } else if constexpr (kTraits.is_integer) {
    return head;
  } else {
    constexpr uint32_t kMantissa = kHeadMantissa<kType>;
    constexpr uint32_t kSign = kTraits.width == 1 ? 7 : 15;
    return (head >> kMantissa << kSign) |
           (head & static_cast<uint32_t>(LowBits(kMantissa)));
  }
}

// Bits of the head that are stored.
CAISSON_HOST_DEVICE constexpr uint32_t HeadBits(PlaneType type, uint8_t flags) {
  const PlaneTraits traits = TraitsOf(type);
  return traits.head_bits - (flags & kPlaneHeadConst ? traits.const_bits : 0u);
}

CAISSON_HOST_DEVICE constexpr uint32_t StoredRows(PlaneType type,
                                                  uint8_t flags) {
  uint32_t rows = 0;
  for (uint32_t j = 0; j < TraitsOf(type).rows; ++j) {
    if (!(flags & (kPlaneRow0Const << j))) ++rows;
  }
  return rows;
}

// Bytes of the planes of a superblock.
CAISSON_HOST_DEVICE constexpr uint32_t SuperblockBytes(PlaneType type,
                                                       uint8_t flags) {
  return kRowBytes * (HeadBits(type, flags) + kSteps * StoredRows(type, flags));
}

// The flags that prepared elements allow of which `differing` has every bit in
// which one of them is another than the first.
template <PlaneType kType>
CAISSON_HOST_DEVICE constexpr uint8_t ConstFlags(uint64_t differing) {
  constexpr PlaneTraits kTraits = TraitsOf(kType);
  uint8_t flags = 0;
  if constexpr (kTraits.const_bits > 0) {
    constexpr uint64_t kHead = kTraits.is_integer
                                   ? uint64_t{0xFF} << 16 * kTraits.rows
                                   : uint64_t{1} << (8 * kTraits.width - 1);
    if ((differing & kHead) == 0) flags |= kPlaneHeadConst;
  }
  for (int j = 0; j < kTraits.rows; ++j) {
    if ((differing >> 16 * j & 0xFFFF) == 0) flags |= kPlaneRow0Const << j;
  }
  return flags;
}

// Which element of a superblock lane `lane` codes in step `step`. Chosen so
// that vectors of any length interleave rows to elements block by block of 16
// bytes, and that a warp stores whole lines.
CAISSON_HOST_DEVICE constexpr uint32_t ElemOf(uint32_t width, uint32_t step,
                                              uint32_t lane) {
  if (width == 1) return 64 * (step / 2) + 2 * lane + step % 2;
  const uint32_t run = 16 / width;
  return 32 * step + 4 * run * (lane % 8 / run) + run * (lane / 8) + lane % run;
}

}  // namespace caisson::plane
