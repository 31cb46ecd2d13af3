// SPDX-License-Identifier: Apache-2.0
//
// What a file has of a storage besides its bytes.
//
// Thread safety: free functions; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "caisson/crc32.h"
#include "core/formats/layout.h"

namespace caisson {

// The CRC of all pieces together; none if one has none.
inline std::optional<uint32_t> CrcOf(const StorageLayout& storage) {
  if (storage.pieces.empty()) return std::nullopt;
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  uint32_t crc = 0;
  for (const Piece& piece : storage.pieces) {
    if (!piece.crc32) return std::nullopt;
    crc = Crc32Combine(crc, *piece.crc32, piece.elems * width);
  }
  return crc;
}

// The bytes that it takes, with its index.
inline uint64_t StoredBytesOf(const StorageLayout& storage) {
  uint64_t bytes = storage.index_bytes;
  for (const Piece& piece : storage.pieces) bytes += piece.stored_bytes;
  return bytes;
}

}  // namespace caisson
