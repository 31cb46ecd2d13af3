// SPDX-License-Identifier: Apache-2.0
//
// One chunk of the plane codec: the facts that its index entry holds, and the
// sizes that follow from them. docs/codec.md is the specification.
//
// Elements are taken apart into a symbol, which is coded (the exponent of a
// float, a byte of an integer), and a rest, which is kept as it is, in planes.
// A chunk is encoded and decoded alone.
//
// Plain values; pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/dtype.h"

namespace caisson {

// How elements are taken apart. The numbers are those of the file. codec.md 2.
enum class PlaneType : uint8_t {
  kBytes = 0,  // one-byte elements without a format of their own
  kFloat8E4M3 = 1,
  kFloat8E5M2 = 2,
  kBFloat16 = 3,
  kFloat16 = 4,
  kInt16 = 5,
  kFloat32 = 6,
  kInt32 = 7,
  kFloat64 = 8,
  kInt64 = 9,
};
inline constexpr size_t kPlaneTypes = 10;

// What a chunk is. The numbers are those of the file; 3 is reserved.
enum class PlaneMode : uint8_t {
  kRaw = 0,    // the elements as they are
  kConst = 1,  // one element, which all are equal to
  kR16 = 2,    // planes and coded symbols
};

// What of the rest is constant, and hence not stored. Bits of a chunk's flags,
// which only mode kR16 has.
inline constexpr uint8_t kPlaneHeadConst = 1;  // a float's sign, an int's head
inline constexpr uint8_t kPlaneRow0Const = 2;  // the lowest 16 bits
inline constexpr uint8_t kPlaneRow1Const = 4;
inline constexpr uint8_t kPlaneRow2Const = 8;

inline constexpr uint32_t kPlaneSegments = 8;         // of a chunk, at most
inline constexpr uint32_t kPlaneSegmentElems = 8192;  // << PlaneChunk::shift
inline constexpr uint32_t kPlaneMostShift = 2;
inline constexpr uint32_t kPlaneLeastElems = 4096;  // of a chunk in kR16
inline constexpr uint32_t kPlaneHeaderBytes = 112;  // of the coded part
inline constexpr uint32_t kPlaneAlignment = 16;     // of a chunk's place

// As long as the chunk's index entry; plain data, copied to devices as it is.
struct PlaneChunk {
  PlaneMode mode = PlaneMode::kRaw;
  uint8_t flags = 0;
  PlaneType type = PlaneType::kBytes;
  uint8_t shift = 0;         // segments have kPlaneSegmentElems << shift elems
  uint32_t elems = 0;        // at least 1
  uint32_t raw_bytes = 0;    // of the planes, the elements or the one element
  uint32_t coded_bytes = 0;  // of the coded part, which follows them
  uint32_t crc32 = 0;        // of the elements, little-endian

  bool operator==(const PlaneChunk&) const = default;
};

// What is fixed for a type.
struct PlaneTraits {
  uint8_t width;        // bytes of an element
  uint8_t symbol_bits;  // a symbol is below 1 << symbol_bits
  uint8_t head_bits;    // of the rest, above the rows
  uint8_t const_bits;   // how many of those kPlaneHeadConst takes away
  uint8_t rows;         // 16 bits each
  bool is_integer;      // turned before it is taken apart
};

constexpr PlaneTraits TraitsOf(PlaneType type) {
  switch (type) {
    case PlaneType::kBytes:
      return {1, 8, 0, 0, 0, false};
    case PlaneType::kFloat8E4M3:
      return {1, 4, 4, 1, 0, false};
    case PlaneType::kFloat8E5M2:
      return {1, 5, 3, 1, 0, false};
    case PlaneType::kBFloat16:
      return {2, 8, 8, 1, 0, false};
    case PlaneType::kFloat16:
      return {2, 5, 11, 1, 0, false};
    case PlaneType::kInt16:
      return {2, 8, 8, 8, 0, true};
    case PlaneType::kFloat32:
      return {4, 8, 8, 1, 1, false};
    case PlaneType::kInt32:
      return {4, 8, 8, 8, 1, true};
    case PlaneType::kFloat64:
      return {8, 8, 5, 1, 3, false};
    case PlaneType::kInt64:
      return {8, 8, 8, 8, 3, true};
  }
  return {};
}

// Whether a symbol is the exponent of a float.
constexpr bool IsFloat(PlaneType type) {
  return type != PlaneType::kBytes && !TraitsOf(type).is_integer;
}

// The type that takes elements of `dtype` apart, or units of them: complex
// numbers count as two elements, and types that do not fill bytes as bytes.
constexpr PlaneType PlaneTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kComplex128:
      return PlaneType::kFloat64;
    case DType::kFloat32:
    case DType::kComplex64:
      return PlaneType::kFloat32;
    case DType::kFloat16:
    case DType::kComplex32:
      return PlaneType::kFloat16;
    case DType::kBFloat16:
      return PlaneType::kBFloat16;
    case DType::kInt64:
    case DType::kUInt64:
      return PlaneType::kInt64;
    case DType::kInt32:
    case DType::kUInt32:
    case DType::kQInt32:
      return PlaneType::kInt32;
    case DType::kInt16:
    case DType::kUInt16:
    case DType::kBits16:
      return PlaneType::kInt16;
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FnUz:
      return PlaneType::kFloat8E5M2;
    case DType::kFloat8E4M3Fn:
    case DType::kFloat8E4M3FnUz:
      return PlaneType::kFloat8E4M3;
    default:
      return PlaneType::kBytes;
  }
}

// Which shift the encoder takes: segments of one-byte elements are as long in
// bytes as those of two. bench/plane_bench.cc.
constexpr uint8_t PlaneShift(PlaneType type) {
  return TraitsOf(type).width == 1 ? 1 : 0;
}

// How many elements each chunk but the last has.
constexpr uint32_t PlaneChunkElems(uint8_t shift) {
  return (kPlaneSegments * kPlaneSegmentElems) << shift;
}
constexpr uint32_t PlaneChunkElems(PlaneType type) {
  return PlaneChunkElems(PlaneShift(type));
}

// Bytes of the planes of `elems` elements: each begun superblock of 512 has a
// row of 32 words for each bit of the head and for each step of each row.
constexpr uint32_t PlaneRawBytes(PlaneType type, uint8_t flags,
                                 uint32_t elems) {
  const PlaneTraits traits = TraitsOf(type);
  uint32_t head = traits.head_bits;
  if (flags & kPlaneHeadConst) head -= traits.const_bits;
  uint32_t rows = 0;
  for (uint32_t j = 0; j < traits.rows; ++j) {
    if (!(flags & (kPlaneRow0Const << j))) ++rows;
  }
  return (elems + 511) / 512 * 64 * (head + 16 * rows);
}

// What a chunk takes in its record: its parts, and zeros up to the next
// multiple of kPlaneAlignment.
constexpr uint64_t PlaneStoredBytes(const PlaneChunk& chunk) {
  const uint64_t bytes = uint64_t{chunk.raw_bytes} + chunk.coded_bytes;
  return (bytes + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

// Room for any chunk of so many elements: more than they take is never stored.
constexpr uint64_t PlaneBound(PlaneType type, uint32_t elems) {
  const uint64_t bytes = uint64_t{elems} * TraitsOf(type).width;
  return (bytes + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

// The same for a record, of `elems` elements in as many chunks as it takes.
constexpr uint64_t PlaneRecordBound(PlaneType type, uint64_t elems) {
  const uint64_t most = PlaneChunkElems(type);
  const uint64_t chunks = (elems + most - 1) / most;
  return elems * TraitsOf(type).width + chunks * (32 + kPlaneAlignment) + 32;
}

// Whether the fields of a chunk agree with each other. Says nothing about its
// bytes. codec.md 6.
constexpr bool IsSound(const PlaneChunk& chunk) {
  if (static_cast<size_t>(chunk.type) >= kPlaneTypes) return false;
  if (chunk.shift > kPlaneMostShift) return false;
  if (chunk.elems == 0 || chunk.elems > PlaneChunkElems(chunk.shift)) {
    return false;
  }
  const PlaneTraits traits = TraitsOf(chunk.type);
  const uint64_t bytes = uint64_t{chunk.elems} * traits.width;
  if (chunk.mode == PlaneMode::kRaw || chunk.mode == PlaneMode::kConst) {
    const uint64_t raw = chunk.mode == PlaneMode::kRaw ? bytes : traits.width;
    return chunk.flags == 0 && chunk.coded_bytes == 0 && chunk.raw_bytes == raw;
  }
  if (chunk.mode != PlaneMode::kR16) return false;
  uint8_t possible = 0;
  if (traits.const_bits > 0) possible |= kPlaneHeadConst;
  for (uint32_t j = 0; j < traits.rows; ++j) possible |= kPlaneRow0Const << j;
  if (chunk.flags & ~possible) return false;
  const uint32_t segment = kPlaneSegmentElems << chunk.shift;
  const uint32_t segments = (chunk.elems + segment - 1) / segment;
  return chunk.elems >= kPlaneLeastElems &&
         chunk.raw_bytes ==
             PlaneRawBytes(chunk.type, chunk.flags, chunk.elems) &&
         chunk.coded_bytes % kPlaneAlignment == 0 &&
         chunk.coded_bytes >= kPlaneHeaderBytes + segments * 64 &&
         uint64_t{chunk.raw_bytes} + chunk.coded_bytes <= bytes;
}

}  // namespace caisson
