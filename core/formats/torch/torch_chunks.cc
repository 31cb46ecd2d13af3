// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_chunks.h"

#include <algorithm>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/formats/plane_record.h"

namespace caisson::torch {
namespace {

// Every element's size divides it.
constexpr uint64_t kChunkUnit = 16;

size_t WidthOf(const StorageLayout& storage) {
  return std::max<size_t>(ByteWidth(storage.dtype), 1);
}

}  // namespace

Status PlacePlane(const ByteSource& source, const zip::Entry& entry,
                  StorageLayout* storage) {
  const std::string what = "record '" + storage->record + "'";
  CAISSON_ASSIGN_OR_RETURN(
      const plane::Index index,
      plane::ReadIndex(source, entry.data_offset, entry.stored_bytes, what));
  if (index.bytes() != storage->bytes) {
    return source.Corrupt(entry.data_offset, what,
                          std::to_string(index.bytes()) +
                              " bytes, but the pickle says " +
                              std::to_string(storage->bytes));
  }
  const size_t width = WidthOf(*storage);
  const size_t unit = TraitsOf(index.type).width;
  storage->pieces.reserve(index.entries.size());
  storage->index_bytes =
      index.entries.size() * plane::kEntryBytes + plane::kTrailerBytes;
  uint64_t at = 0;
  for (const plane::Entry& chunk : index.entries) {
    const uint64_t bytes = uint64_t{chunk.chunk.elems} * unit;
    Piece piece;
    piece.offset = entry.data_offset + chunk.offset;
    piece.stored_bytes = PlaneStoredBytes(chunk.chunk);
    piece.first_elem = at / width;
    piece.elems = bytes / width;
    piece.encoding = Encoding::kPlane;
    piece.order = ByteOrder::kLittle;
    piece.crc32 = chunk.chunk.crc32;
    piece.plane = chunk.chunk;
    at += bytes;
    storage->pieces.push_back(piece);
  }
  return Status::Ok();
}

Status PlaceDeflated(const zip::Entry& entry, uint64_t chunk_bytes,
                     const PackRecord::Deflated& deflated, ByteOrder order,
                     StorageLayout* storage) {
  const uint64_t bytes = storage->bytes;
  const size_t count = deflated.chunks.size();
  if (chunk_bytes == 0 || chunk_bytes % kChunkUnit != 0) {
    return Status::Corrupt("chunks of " + std::to_string(chunk_bytes) +
                           " bytes");
  }
  if (count != bytes / chunk_bytes + (bytes % chunk_bytes != 0 ? 1 : 0)) {
    return Status::Corrupt(std::to_string(count) + " chunks for " +
                           std::to_string(bytes) + " bytes");
  }
  const size_t width = WidthOf(*storage);
  uint64_t offset = entry.data_offset;
  uint64_t at = 0;
  uint32_t crc = 0;
  storage->pieces.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const ChunkFacts& chunk = deflated.chunks[i];
    const uint64_t chunk_size = std::min(chunk_bytes, bytes - at);
    if (chunk.stored_bytes == 0) {
      return Status::Corrupt("chunk " + std::to_string(i) + " is empty");
    }
    Piece piece;
    piece.offset = offset;
    piece.stored_bytes = chunk.stored_bytes;
    piece.first_elem = at / width;
    piece.elems = chunk_size / width;
    piece.encoding = Encoding::kDeflate;
    piece.order = order;
    piece.crc32 = chunk.crc32;
    piece.ends = i + 1 == count;
    storage->pieces.push_back(piece);
    offset += chunk.stored_bytes;
    at += chunk_size;
    crc = Crc32Combine(crc, chunk.crc32, chunk_size);
  }
  // Fewer than 2^32 chunks of less than 2^32 bytes: nothing wraps.
  if (offset - entry.data_offset != entry.stored_bytes) {
    return Status::Corrupt(
        "chunks of " + std::to_string(offset - entry.data_offset) +
        " bytes, the record has " + std::to_string(entry.stored_bytes));
  }
  if (crc != entry.crc32) {
    return Status::Corrupt("the CRC-32 of its chunks is not the record's");
  }
  return Status::Ok();
}

}  // namespace caisson::torch
