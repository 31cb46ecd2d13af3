// SPDX-License-Identifier: Apache-2.0
//
// What the vector versions of the plane codec look up, and what they carry
// from superblock to superblock. Plain data; one thread each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/plane/coded_part.h"
#include "kernels/plane/coder.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/plan.h"

namespace caisson::cpu {

// Per slot the row; per row its frequency, its first slot and its top.
struct DecodeTables {
  alignas(64) uint8_t rows[plane::kSlots];
  alignas(64) uint16_t freqs[plane::kRows];
  alignas(64) uint16_t starts[plane::kRows];
  alignas(64) uint16_t tops[plane::kRows];
};

template <PlaneType kType>
DecodeTables MakeDecodeTables(const plane::CodedHead& head,
                              uint16_t escape_top) {
  DecodeTables tables;
  for (uint32_t i = 0; i < plane::kRows; ++i) {
    const uint8_t freq = head.model.freqs[i];
    std::memset(tables.rows + head.starts[i], static_cast<int>(i), freq);
    tables.freqs[i] = freq;
    tables.starts[i] = static_cast<uint16_t>(head.starts[i]);
    tables.tops[i] =
        static_cast<uint16_t>(plane::TopOf<kType>(head.model.symbols[i]));
  }
  tables.tops[plane::kEscape] = escape_top;
  return tables;
}

// Per symbol the row; per row its frequency and first slot, 65535 / frequency,
// and kSlots - frequency.
struct EncodeTables {
  alignas(64) uint8_t rows[256];
  alignas(64) uint16_t freqs[plane::kRows];
  alignas(64) uint16_t starts[plane::kRows];
  alignas(64) uint16_t inverses[plane::kRows];
  alignas(64) uint16_t rests[plane::kRows];
};

inline EncodeTables MakeEncodeTables(const plane::Model& model) {
  EncodeTables tables;
  std::memset(tables.rows, plane::kEscape, sizeof(tables.rows));
  uint32_t start = 0;
  for (uint32_t i = 0; i < plane::kRows; ++i) {
    const uint32_t freq = model.freqs[i];
    if (i < plane::kEscape && freq > 0) {
      tables.rows[model.symbols[i]] = static_cast<uint8_t>(i);
    }
    tables.freqs[i] = static_cast<uint16_t>(freq);
    tables.starts[i] = static_cast<uint16_t>(start);
    tables.inverses[i] = static_cast<uint16_t>(freq == 0 ? 0 : 65535 / freq);
    tables.rests[i] = static_cast<uint16_t>(plane::kSlots - freq);
    start += freq;
  }
  return tables;
}

// A segment being read.
struct SegmentReader {
  alignas(64) uint16_t states[plane::kLanes];
  const uint8_t* next;      // of the stream
  const uint8_t* end;       // of the stream
  const uint8_t* readable;  // end of what may be read
  const uint8_t* escape;    // next literal
  const uint8_t* escapes_end;
};

// A segment being written, from its end to its start.
struct SegmentWriter {
  alignas(64) uint16_t states[plane::kLanes];
  uint8_t* stream;   // first byte written so far
  uint8_t* escapes;  // the same of literals
  uint8_t* stream_end;
  uint8_t* escapes_end;
};

// What a superblock may read from the first byte of its stream on.
inline constexpr size_t kReadAhead = plane::kSuperblock + 32;
// What lies below a SegmentWriter's room that may be overwritten.
inline constexpr size_t kWriteSlack = 64;

// Tops or symbols of a superblock, and which of them are escapes.
struct Superblock {
  alignas(64) uint16_t lanes[plane::kSteps][plane::kLanes];
  alignas(64) uint32_t escapes[plane::kSteps];  // bit i: lane i
};

}  // namespace caisson::cpu
