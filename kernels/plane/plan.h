// SPDX-License-Identifier: Apache-2.0
//
// What the encoder decides before it codes a chunk: its table, its constants,
// and whether coding is worth it. docs/codec.md 5.
//
// Pure; any thread. Functions on the host only, but for WriteHead.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/plane_chunk.h"
#include "kernels/host_device.h"
#include "kernels/plane/coded_part.h"
#include "kernels/plane/model.h"

namespace caisson::plane {

struct EncodePlan {
  bool worth = false;  // else the chunk is stored raw
  uint8_t flags = 0;   // what may be constant: the encoder finds out
  uint32_t turn = 0;   // of integers
  uint64_t first = 0;  // element 0, prepared
  Model model = {};
  uint64_t predicted = 0;  // coded bytes, by the sample
};

// Plans a chunk of at least kPlaneLeastElems elements at `src`.
EncodePlan PlanChunk(const std::byte* src, PlaneType type, uint32_t elems,
                     uint8_t shift);

// The same after `flags` turned out to be all that is constant.
void Replan(uint8_t flags, PlaneType type, uint32_t elems, EncodePlan* plan);

// Writes the head of a coded part, with no segments yet.
CAISSON_HOST_DEVICE inline void WriteHead(const EncodePlan& plan,
                                          PlaneType type, uint8_t* coded) {
  const PlaneTraits traits = TraitsOf(type);
  for (uint32_t i = 0; i < kPlaneHeaderBytes; ++i) coded[i] = 0;
  for (uint32_t i = 0; i < kRows; ++i) {
    coded[kSymbolsAt + i] = plan.model.symbols[i];
    coded[kFreqsAt + i] = plan.model.freqs[i];
  }
  for (uint32_t j = 0; j < traits.rows; ++j) {
    if (!(plan.flags & (kPlaneRow0Const << j))) continue;
    coded[kRowConstsAt + 2 * j] = static_cast<uint8_t>(plan.first >> 16 * j);
    coded[kRowConstsAt + 2 * j + 1] =
        static_cast<uint8_t>(plan.first >> (16 * j + 8));
  }
  if (plan.flags & kPlaneHeadConst) {
    coded[kHeadConstAt] = static_cast<uint8_t>(
        traits.is_integer ? plan.first >> 16 * traits.rows & 0xFF
                          : plan.first >> (8 * traits.width - 1) & 1);
  }
  coded[kTurnAt] = static_cast<uint8_t>(plan.turn);
}

// Picks a table for symbols that a sample has `counts` of, 256 numbers which
// add up to `sample`. `*cost` is what it makes of them, in 1/256 of a bit.
Model MakeModel(const uint32_t* counts, uint32_t sample, uint64_t* cost);

}  // namespace caisson::plane
