// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/pack_record.h"

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "core/base/byte_cursor.h"
#include "core/base/byte_sink.h"
#include "core/base/endian.h"
#include "core/formats/zip/zip_layout.h"

namespace caisson::torch {
namespace {

constexpr std::string_view kMagic = "CAISPACK";
constexpr uint16_t kVersion = 1;
constexpr uint64_t kHeaderBytes = 8 + 2 + 2 + 4 + 4 + 4;
constexpr uint64_t kRecordBytes = 4 + 4;
constexpr uint64_t kChunkBytes = 4 + 4;

// The profile's bits, from the lowest.
constexpr bool Profile::*const kBits[] = {
    &Profile::format_version, &Profile::storage_alignment,
    &Profile::byteorder,      &Profile::serialization_id,
    &Profile::numeric_order,  &Profile::crc32};

uint16_t BitsOf(const Profile& profile) {
  uint16_t bits = 0;
  for (size_t i = 0; i < std::size(kBits); ++i) {
    if (profile.*kBits[i]) bits |= static_cast<uint16_t>(1 << i);
  }
  return bits;
}

}  // namespace

uint64_t PackBytes(uint64_t deflated, uint64_t chunks) {
  return kHeaderBytes + deflated * kRecordBytes + chunks * kChunkBytes;
}

std::vector<std::byte> PackContent(const PackRecord& record) {
  uint64_t chunks = 0;
  for (const PackRecord::Deflated& deflated : record.deflated) {
    chunks += deflated.chunks.size();
  }
  ByteSink sink;
  sink.Reserve(PackBytes(record.deflated.size(), chunks));
  sink.Put(kMagic);
  sink.PutLittle(kVersion);
  sink.PutLittle(BitsOf(record.profile));
  sink.PutLittle(uint32_t{record.profile.alignment});
  sink.PutLittle(record.chunk_bytes);
  sink.PutLittle(static_cast<uint32_t>(record.deflated.size()));
  for (const PackRecord::Deflated& deflated : record.deflated) {
    sink.PutLittle(deflated.number);
    sink.PutLittle(static_cast<uint32_t>(deflated.chunks.size()));
    for (const ChunkFacts& chunk : deflated.chunks) {
      sink.PutLittle(chunk.stored_bytes);
      sink.PutLittle(chunk.crc32);
    }
  }
  return sink.Take();
}

Result<PackRecord> ParsePack(std::span<const std::byte> bytes) {
  ByteCursor cursor(bytes);
  const auto cut = [&] {
    return Status::Corrupt("ends within a field, at byte " +
                           std::to_string(cursor.offset()));
  };
  const auto magic = cursor.Take(kMagic.size());
  const auto version = cursor.TakeLittle<uint16_t>();
  if (!magic || !version) return cut();
  if (std::string_view(reinterpret_cast<const char*>(magic->data()),
                       magic->size()) != kMagic) {
    return Status::Corrupt("expected \"CAISPACK\"");
  }
  if (*version != kVersion) {
    return Status::Unsupported("version " + std::to_string(*version) +
                               "; this build reads 1");
  }
  const auto bits = cursor.TakeLittle<uint16_t>();
  const auto alignment = cursor.TakeLittle<uint32_t>();
  const auto chunk_bytes = cursor.TakeLittle<uint32_t>();
  const auto deflated = cursor.TakeLittle<uint32_t>();
  if (!bits || !alignment || !chunk_bytes || !deflated) return cut();
  PackRecord record;
  if (*bits >> std::size(kBits) != 0) {
    return Status::Corrupt("unknown bits of the profile");
  }
  for (size_t i = 0; i < std::size(kBits); ++i) {
    record.profile.*kBits[i] = (*bits >> i & 1) != 0;
  }
  if (*alignment < 1 || *alignment > zip::kMaxAlignment) {
    return Status::Corrupt("an alignment of " + std::to_string(*alignment));
  }
  record.profile.alignment = *alignment;
  record.chunk_bytes = *chunk_bytes;
  for (uint32_t i = 0; i < *deflated; ++i) {
    const auto number = cursor.TakeLittle<uint32_t>();
    const auto chunks = cursor.TakeLittle<uint32_t>();
    // Before memory is taken for them.
    if (!number || !chunks || *chunks > cursor.left() / kChunkBytes) {
      return cut();
    }
    PackRecord::Deflated entry;
    entry.number = *number;
    entry.chunks.resize(*chunks);
    for (ChunkFacts& chunk : entry.chunks) {
      chunk.stored_bytes = *cursor.TakeLittle<uint32_t>();
      chunk.crc32 = *cursor.TakeLittle<uint32_t>();
    }
    record.deflated.push_back(std::move(entry));
  }
  if (cursor.left() != 0) {
    return Status::Corrupt(std::to_string(cursor.left()) +
                           " bytes behind the last chunk");
  }
  return record;
}

}  // namespace caisson::torch
