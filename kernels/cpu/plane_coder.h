// SPDX-License-Identifier: Apache-2.0
//
// The part of the plane codec that has a version for each SIMD target: planes
// and coded segments of one chunk in mode kR16. What is around it, modes and
// checks, is in plane_encode.cc and plane_decode.cc.
//
// Any thread, each with scratch of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/plane_chunk.h"
#include "kernels/kernel_table.h"
#include "kernels/plane/coded_part.h"
#include "kernels/plane/plan.h"

namespace caisson::cpu {

// A chunk to encode as planned.
struct PlaneSource {
  const std::byte* src;
  PlaneType type;
  uint32_t elems;
  uint8_t shift;
  std::byte* dst;      // planes, then the coded part
  uint32_t room;       // bytes of dst; at least the planes fit
  std::byte* scratch;  // plane_encode_bytes()
};

// What came of it.
struct PlaneResult {
  uint32_t coded_bytes = 0;  // 0: there was no room
  uint64_t differing = 0;    // bits in which an element differs from the first
  bool has_symbols = true;   // false: the chunk cannot be coded
};

// A chunk to decode.
struct PlaneTarget {
  const std::byte* src;  // planes, then the coded part; then nothing
  PlaneChunk chunk;
  const plane::CodedHead* head;
  std::byte* dst;
};

// Of the elements, if there is no fault.
struct PlaneVerdict {
  PlaneFault fault = PlaneFault::kNone;
  uint32_t crc32 = 0;
};

// Scratch that a chunk takes, on any target.
size_t PlaneEncodeScratch(PlaneType type, uint8_t shift);

// The best that this CPU can do.
PlaneResult EncodePlanes(const PlaneSource& source,
                         const plane::EncodePlan& plan);
PlaneVerdict DecodePlanes(const PlaneTarget& target);

// The same element by element, as docs/codec.md has it: for targets without
// vectors, and to compare the others with.
PlaneResult EncodePlanesPlainly(const PlaneSource& source,
                                const plane::EncodePlan& plan);
PlaneVerdict DecodePlanesPlainly(const PlaneTarget& target);

// A chunk with all that is around it, by one of the coders above.
void EncodeChunk(const PlaneEncodeJob& job, std::byte* scratch,
                 decltype(EncodePlanes) encode);
PlaneFault DecodeChunk(const PlaneDecodeJob& job,
                       decltype(DecodePlanes) decode);

}  // namespace caisson::cpu
