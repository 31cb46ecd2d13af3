// SPDX-License-Identifier: Apache-2.0
//
// The head of a coded part, and where its segments lie. docs/codec.md 4.
//
// Pure; any thread, on either side. Reading gives a fault for every field that
// is not what an encoder writes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/plane_chunk.h"
#include "kernels/host_device.h"
#include "kernels/kernel_table.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/model.h"

namespace caisson::plane {

// Offsets in the coded part.
inline constexpr uint32_t kSymbolsAt = 0;
inline constexpr uint32_t kFreqsAt = 32;
inline constexpr uint32_t kSegmentsAt = 64;
inline constexpr uint32_t kRowConstsAt = 96;
inline constexpr uint32_t kHeadConstAt = 102;
inline constexpr uint32_t kTurnAt = 103;
inline constexpr uint32_t kReservedAt = 104;
inline constexpr uint32_t kStateBytes = 64;

struct Segment {
  uint32_t offset;  // in the coded part
  uint32_t stream;  // bytes
  uint32_t escapes;

  CAISSON_HOST_DEVICE uint32_t used() const {
    return kStateBytes + stream + escapes;
  }
  CAISSON_HOST_DEVICE uint32_t bytes() const {
    return (used() + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
  }
};

// What the head of a coded part says.
struct CodedHead {
  Model model;
  uint32_t starts[kRows];  // the first slot of each row
  Segment segments[kPlaneSegments];
  uint32_t segment_count;
  uint64_t consts;  // the constant rows, in their place in an element
  uint32_t head_const;
  uint32_t turn;  // of integers
};

CAISSON_HOST_DEVICE constexpr uint32_t SegmentElems(uint8_t shift) {
  return kPlaneSegmentElems << shift;
}
CAISSON_HOST_DEVICE constexpr uint32_t SegmentCount(uint32_t elems,
                                                    uint8_t shift) {
  return (elems + SegmentElems(shift) - 1) / SegmentElems(shift);
}

// Superblocks of segment `s`, the last of which may be in part filler.
CAISSON_HOST_DEVICE constexpr uint32_t SegmentSuperblocks(uint32_t elems,
                                                          uint8_t shift,
                                                          uint32_t s) {
  const uint32_t before = s * SegmentElems(shift);
  const uint32_t left = elems - before;
  const uint32_t own = left < SegmentElems(shift) ? left : SegmentElems(shift);
  return (own + kSuperblock - 1) / kSuperblock;
}

CAISSON_HOST_DEVICE inline uint32_t Little16(const uint8_t* at) {
  return at[0] | at[1] << 8;
}

CAISSON_HOST_DEVICE inline bool ParseModel(const uint8_t* coded,
                                           uint32_t symbol_bits,
                                           CodedHead* head) {
  uint32_t sum = 0;
  bool good = true;
  bool ended = false;
  for (uint32_t i = 0; i < kRows; ++i) {
    const uint32_t symbol = coded[kSymbolsAt + i];
    const uint32_t freq = coded[kFreqsAt + i];
    head->model.symbols[i] = static_cast<uint8_t>(symbol);
    head->model.freqs[i] = static_cast<uint8_t>(freq);
    head->starts[i] = sum;
    sum += freq;
    if (i == kEscape) {
      good = good && symbol == 0 && freq > 0;
    } else if (freq == 0) {
      ended = true;
      good = good && symbol == 0;
    } else {
      good = good && !ended && symbol >> symbol_bits == 0 &&
             (i == 0 || symbol > head->model.symbols[i - 1]);
    }
  }
  return good && sum == kSlots;
}

CAISSON_HOST_DEVICE inline bool ParseConsts(const uint8_t* coded,
                                            const PlaneChunk& chunk,
                                            CodedHead* head) {
  const PlaneTraits traits = TraitsOf(chunk.type);
  bool good = true;
  head->consts = 0;
  for (uint32_t j = 0; j < 3; ++j) {
    const uint64_t row = Little16(coded + kRowConstsAt + 2 * j);
    const bool is_const = chunk.flags & (kPlaneRow0Const << j);
    good = good && (is_const || row == 0);
    if (is_const) head->consts |= row << 16 * j;
  }
  head->head_const = coded[kHeadConstAt];
  head->turn = coded[kTurnAt];
  const bool head_is_const = chunk.flags & kPlaneHeadConst;
  const uint32_t most = head_is_const ? (1u << traits.const_bits) - 1 : 0;
  good = good && head->head_const <= most;
  good = good && (traits.is_integer ? RotatedBytes(head->turn) < traits.width
                                    : head->turn == 0);
  for (uint32_t i = kReservedAt; i < kPlaneHeaderBytes; ++i) {
    good = good && coded[i] == 0;
  }
  return good;
}

CAISSON_HOST_DEVICE inline bool ParseSegments(const uint8_t* coded,
                                              const PlaneChunk& chunk,
                                              CodedHead* head) {
  head->segment_count = SegmentCount(chunk.elems, chunk.shift);
  uint32_t offset = kPlaneHeaderBytes;
  bool good = true;
  for (uint32_t s = 0; s < kPlaneSegments; ++s) {
    Segment& segment = head->segments[s];
    const uint8_t* const at = coded + kSegmentsAt + 4 * s;
    segment = {offset, Little16(at), Little16(at + 2)};
    if (s < head->segment_count) {
      offset += segment.bytes();
    } else {
      good = good && segment.stream == 0 && segment.escapes == 0;
    }
  }
  return good && offset == chunk.coded_bytes;
}

// Reads the head of the coded part of `chunk`.
// REQUIRES: IsSound(chunk); mode kR16; coded_bytes bytes at `coded`.
CAISSON_HOST_DEVICE inline PlaneFault ParseHead(const uint8_t* coded,
                                                const PlaneChunk& chunk,
                                                CodedHead* head) {
  const uint32_t symbol_bits = TraitsOf(chunk.type).symbol_bits;
  if (!ParseModel(coded, symbol_bits, head)) return PlaneFault::kTable;
  if (!ParseConsts(coded, chunk, head)) return PlaneFault::kTable;
  if (!ParseSegments(coded, chunk, head)) return PlaneFault::kSegments;
  return PlaneFault::kNone;
}

}  // namespace caisson::plane
