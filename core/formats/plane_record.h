// SPDX-License-Identifier: Apache-2.0
//
// A record of the plane codec: chunks back to back, an index of them, and a
// trailer that says where the index is. docs/codec.md 1.
//
// Knows where chunks lie, and nothing of what is in them. Reading is bounded by
// what the record really has: nothing is allocated for what it only declares.
//
// Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "caisson/plane_chunk.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::plane {

inline constexpr size_t kEntryBytes = 32;
inline constexpr size_t kTrailerBytes = 32;
inline constexpr uint16_t kVersion = 1;

// A chunk and where in the record it lies: PlaneStoredBytes of it.
struct Entry {
  PlaneChunk chunk;
  uint64_t offset = 0;
};

// What a record holds: elements of one type, in chunks that are all as long as
// PlaneChunkElems(shift) says, but for the last.
struct Index {
  PlaneType type = PlaneType::kBytes;  // kBytes if there are no chunks
  uint8_t shift = 0;
  uint64_t elems = 0;
  std::vector<Entry> entries;

  // Of the elements, little-endian.
  uint64_t bytes() const { return elems * TraitsOf(type).width; }

  // CRC-32 of all elements, from those of the chunks.
  uint32_t Crc32() const;

  // The chunk that holds element `elem`, in O(1). REQUIRES: elem < elems.
  size_t ChunkOf(uint64_t elem) const { return elem / PlaneChunkElems(shift); }
};

// Where the index lies, as the trailer says.
struct Trailer {
  uint32_t chunks = 0;
  uint64_t index_offset = 0;
  uint32_t crc32 = 0;  // of the index and of the trailer before this field

  uint64_t index_bytes() const { return uint64_t{chunks} * kEntryBytes; }
};

// Parses the last kTrailerBytes of a record of `record_bytes`.
//
// Errors: kCorrupt if it has no trailer, or one whose index does not end where
// the trailer begins; kUnsupported for another version. Messages name offsets
// in the record.
Result<Trailer> ParseTrailer(std::span<const std::byte> trailer,
                             uint64_t record_bytes);

// Parses the index: `bytes` are its own and those of the trailer.
//
// Errors: kCorrupt if the CRC is another, or if the entries contradict
// themselves, each other or the trailer; kUnsupported for a mode that is
// reserved. Messages name the chunk.
Result<Index> ParseIndex(const Trailer& trailer,
                         std::span<const std::byte> bytes);

// Both, of the record of `bytes` bytes at `offset` of `source`. `what` is how
// messages call it. Errors: those of both; kCorrupt if the record does not lie
// in the source; kIo.
Result<Index> ReadIndex(const ByteSource& source, uint64_t offset,
                        uint64_t bytes, std::string_view what);

// Lays out a record whose chunks are added in order.
class IndexWriter {
 public:
  // Where the next chunk goes.
  uint64_t offset() const { return offset_; }

  // REQUIRES: IsSound(chunk); it has the type and shift of those before it,
  // which are full.
  void Add(const PlaneChunk& chunk);

  // The index and the trailer, which follow the last chunk.
  std::vector<std::byte> Finish() const;

 private:
  std::vector<Entry> entries_;
  uint64_t offset_ = 0;
};

}  // namespace caisson::plane
