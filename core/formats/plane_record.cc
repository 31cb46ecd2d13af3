// SPDX-License-Identifier: Apache-2.0
#include "core/formats/plane_record.h"

#include <array>
#include <cassert>
#include <cstring>
#include <string>

#include "caisson/crc32.h"
#include "core/base/byte_sink.h"
#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"

namespace caisson::plane {
namespace {

constexpr char kMagic[] = "CAIPLANE";  // 8 characters
constexpr uint8_t kReservedMode = 3;

std::string Expected(std::string_view what, uint64_t expected, uint64_t found) {
  return "expected " + std::string(what) + " " + std::to_string(expected) +
         ", found " + std::to_string(found);
}

Status TrailerError(uint64_t record_bytes, std::string_view problem) {
  return Status::Corrupt("trailer at " +
                         std::to_string(record_bytes - kTrailerBytes) + ": " +
                         std::string(problem));
}

Status ChunkError(size_t chunk, std::string_view problem) {
  return Status::Corrupt("chunk " + std::to_string(chunk) + ": " +
                         std::string(problem));
}

// codec.md 1.2.
Entry ParseEntry(const std::byte* at) {
  Entry entry;
  entry.chunk.mode = static_cast<PlaneMode>(at[0]);
  entry.chunk.flags = static_cast<uint8_t>(at[1]);
  entry.chunk.type = static_cast<PlaneType>(at[2]);
  entry.chunk.shift = static_cast<uint8_t>(at[3]);
  entry.chunk.elems = LoadLittle<uint32_t>(at + 4);
  entry.offset = LoadLittle<uint64_t>(at + 8);
  entry.chunk.raw_bytes = LoadLittle<uint32_t>(at + 16);
  entry.chunk.coded_bytes = LoadLittle<uint32_t>(at + 20);
  entry.chunk.crc32 = LoadLittle<uint32_t>(at + 24);
  return entry;
}

// Chunk `i` of `chunks`; the first says what all have to be.
Status CheckEntry(const Entry& entry, const Entry& first, size_t i,
                  size_t chunks, uint64_t offset) {
  const PlaneChunk& chunk = entry.chunk;
  if (static_cast<uint8_t>(chunk.mode) == kReservedMode) {
    return Status::Unsupported("chunk " + std::to_string(i) +
                               ": mode 3, which is reserved");
  }
  if (!IsSound(chunk)) return ChunkError(i, "its fields contradict each other");
  if (chunk.type != first.chunk.type) {
    return ChunkError(i,
                      Expected("type", static_cast<uint64_t>(first.chunk.type),
                               static_cast<uint64_t>(chunk.type)));
  }
  if (chunk.shift != first.chunk.shift) {
    return ChunkError(
        i, Expected("segment shift", first.chunk.shift, chunk.shift));
  }
  const uint32_t full = PlaneChunkElems(chunk.shift);
  if (i + 1 < chunks && chunk.elems != full) {
    return ChunkError(i, Expected("elements", full, chunk.elems));
  }
  if (entry.offset != offset) {
    return ChunkError(i, Expected("offset", offset, entry.offset));
  }
  return Status::Ok();
}

}  // namespace

uint32_t Index::Crc32() const {
  uint32_t crc = 0;
  for (const Entry& entry : entries) {
    crc = Crc32Combine(crc, entry.chunk.crc32,
                       uint64_t{entry.chunk.elems} * TraitsOf(type).width);
  }
  return crc;
}

// codec.md 1.3.
Result<Trailer> ParseTrailer(std::span<const std::byte> trailer,
                             uint64_t record_bytes) {
  if (record_bytes < kTrailerBytes || trailer.size() != kTrailerBytes) {
    return Status::Corrupt("trailer: needs " + std::to_string(kTrailerBytes) +
                           " bytes, the record has " +
                           std::to_string(record_bytes));
  }
  if (std::memcmp(trailer.data(), kMagic, 8) != 0) {
    return TrailerError(record_bytes, "expected \"CAIPLANE\"");
  }
  const auto version = LoadLittle<uint16_t>(&trailer[8]);
  if (version != kVersion) {
    return Status::Unsupported("version " + std::to_string(version) +
                               " of the plane codec; this build reads 1");
  }
  const auto flags = LoadLittle<uint16_t>(&trailer[10]);
  if (flags != 0)
    return TrailerError(record_bytes, Expected("flags", 0, flags));
  const auto reserved = LoadLittle<uint32_t>(&trailer[24]);
  if (reserved != 0) {
    return TrailerError(record_bytes, Expected("reserved", 0, reserved));
  }
  const Trailer parsed = {.chunks = LoadLittle<uint32_t>(&trailer[12]),
                          .index_offset = LoadLittle<uint64_t>(&trailer[16]),
                          .crc32 = LoadLittle<uint32_t>(&trailer[28])};
  if (CheckedAdd(parsed.index_offset, parsed.index_bytes()) !=
      record_bytes - kTrailerBytes) {
    return TrailerError(
        record_bytes, "an index of " + std::to_string(parsed.chunks) +
                          " chunks at " + std::to_string(parsed.index_offset) +
                          " does not end here");
  }
  return parsed;
}

Result<Index> ParseIndex(const Trailer& trailer,
                         std::span<const std::byte> bytes) {
  if (bytes.size() != trailer.index_bytes() + kTrailerBytes) {
    return Status::Corrupt(
        "index: " +
        Expected("bytes", trailer.index_bytes() + kTrailerBytes, bytes.size()));
  }
  if (caisson::Crc32(0, bytes.first(bytes.size() - 4)) != trailer.crc32) {
    return Status::Corrupt("index at " + std::to_string(trailer.index_offset) +
                           ": its CRC-32 is another");
  }
  Index index;
  index.entries.reserve(trailer.chunks);
  uint64_t offset = 0;
  for (size_t i = 0; i < trailer.chunks; ++i) {
    const std::byte* const at = bytes.data() + i * kEntryBytes;
    const Entry entry = ParseEntry(at);
    if (const auto reserved = LoadLittle<uint32_t>(at + 28); reserved != 0) {
      return ChunkError(i, Expected("reserved", 0, reserved));
    }
    const Entry& first = i == 0 ? entry : index.entries.front();
    CAISSON_RETURN_IF_ERROR(
        CheckEntry(entry, first, i, trailer.chunks, offset));
    // Offsets are at most 2^32 chunks of 2^22 bytes, so nothing wraps.
    offset += PlaneStoredBytes(entry.chunk);
    index.elems += entry.chunk.elems;
    index.entries.push_back(entry);
  }
  if (offset != trailer.index_offset) {
    return Status::Corrupt("index: " +
                           Expected("offset", offset, trailer.index_offset));
  }
  if (!index.entries.empty()) {
    index.type = index.entries.front().chunk.type;
    index.shift = index.entries.front().chunk.shift;
  }
  return index;
}

Result<Index> ReadIndex(const ByteSource& source, uint64_t offset,
                        uint64_t bytes, std::string_view what) {
  const auto context = [&](const Status& status) {
    return status.WithContext(source.name() + ": " + std::string(what));
  };
  if (bytes < kTrailerBytes || !FitsWithin(offset, bytes, source.size())) {
    return source.Corrupt(offset, what,
                          "a plane record of " + std::to_string(bytes) +
                              " bytes does not lie in the file");
  }
  std::array<std::byte, kTrailerBytes> last;
  CAISSON_RETURN_IF_ERROR(
      source.ReadExact(offset + bytes - kTrailerBytes, last, what));
  const Result<Trailer> trailer = ParseTrailer(last, bytes);
  if (!trailer.has_value()) return context(trailer.error());
  // In a record of real bytes, so the source has as many.
  std::vector<std::byte> index(
      static_cast<size_t>(trailer->index_bytes() + kTrailerBytes));
  CAISSON_RETURN_IF_ERROR(
      source.ReadExact(offset + trailer->index_offset, index, what));
  Result<Index> parsed = ParseIndex(*trailer, index);
  if (!parsed.has_value()) return context(parsed.error());
  return parsed;
}

void IndexWriter::Add(const PlaneChunk& chunk) {
  assert(IsSound(chunk));
  assert(entries_.empty() ||
         (chunk.type == entries_.front().chunk.type &&
          chunk.shift == entries_.front().chunk.shift &&
          entries_.back().chunk.elems == PlaneChunkElems(chunk.shift)));
  entries_.push_back({chunk, offset_});
  offset_ += PlaneStoredBytes(chunk);
}

std::vector<std::byte> IndexWriter::Finish() const {
  ByteSink sink;
  sink.Reserve(entries_.size() * kEntryBytes + kTrailerBytes);
  for (const Entry& entry : entries_) {
    const PlaneChunk& chunk = entry.chunk;
    sink.PutLittle(static_cast<uint8_t>(chunk.mode));
    sink.PutLittle(chunk.flags);
    sink.PutLittle(static_cast<uint8_t>(chunk.type));
    sink.PutLittle(chunk.shift);
    sink.PutLittle(chunk.elems);
    sink.PutLittle(entry.offset);
    sink.PutLittle(chunk.raw_bytes);
    sink.PutLittle(chunk.coded_bytes);
    sink.PutLittle(chunk.crc32);
    sink.PutLittle(uint32_t{0});
  }
  sink.Put(std::string_view(kMagic, 8));
  sink.PutLittle(kVersion);
  sink.PutLittle(uint16_t{0});
  sink.PutLittle(static_cast<uint32_t>(entries_.size()));
  sink.PutLittle(offset_);
  sink.PutLittle(uint32_t{0});
  sink.PutLittle(caisson::Crc32(0, sink.bytes()));
  return sink.Take();
}

}  // namespace caisson::plane
