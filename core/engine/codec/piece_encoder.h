// SPDX-License-Identifier: Apache-2.0
//
// Encodes pieces of tensors chunk by chunk. Chunks do not depend on each other:
// any thread may encode any of them, and the bytes are the same.
//
// Thread safety: const functions may run on many threads at once, each with
// memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "caisson/plane_chunk.h"
#include "caisson/status.h"
#include "core/device/buffer.h"
#include "core/formats/format.h"
#include "core/formats/plane_record.h"
#include "kernels/kernel_table.h"

namespace caisson {

// Memory that a chunk takes while it is encoded; kept from one to the next.
struct EncodeRoom {
  Buffer source;  // swapped, or of a device
  Buffer encoded;
  Buffer scratch;  // of the kernel
};

// Sees to it that `buffer` has at least `bytes`.
Status Grow(Buffer& buffer, size_t bytes);

struct EncodedChunk {
  std::span<const std::byte> bytes;  // in an EncodeRoom
  uint32_t crc32 = 0;                // before encoding, as the file wants them
  PlaneChunk plane;                  // of the plane codec

  ChunkFacts facts() const {
    return {static_cast<uint32_t>(bytes.size()), crc32};
  }
};

class PieceEncoder {
 public:
  // REQUIRES: the piece is to be deflated or to go through the plane codec;
  // the table outlives this.
  PieceEncoder(TensorPiece piece, const KernelTable& kernels);

  const TensorPiece& piece() const { return piece_; }
  size_t chunks() const { return chunks_; }

  // Of chunk `i`, within the storage.
  uint64_t ChunkOffset(size_t i) const {
    return piece_.offset + i * chunk_bytes_;
  }
  size_t ChunkBytes(size_t i) const;

  // Encodes chunk `i`, whose bytes in memory of the host are `src`, into
  // `room`. Not of an empty piece.
  Status Encode(size_t i, std::span<const std::byte> src, EncodeRoom& room,
                EncodedChunk* chunk) const;

 private:
  Status EncodePlane(std::span<const std::byte> src, EncodeRoom& room,
                     EncodedChunk* chunk) const;
  Status Deflate(size_t i, std::span<const std::byte> src, EncodeRoom& room,
                 EncodedChunk* chunk) const;

  const TensorPiece piece_;
  const KernelTable& kernels_;
  const uint64_t chunk_bytes_;
  const size_t chunks_;
};

// What follows the last chunk of a piece. Chunks are added in their order.
class ChunkIndex {
 public:
  explicit ChunkIndex(Encoding encoding) : encoding_(encoding) {}

  void Add(const EncodedChunk& chunk) {
    if (encoding_ == Encoding::kPlane) Add(chunk.plane);
  }
  void Add(const PlaneChunk& chunk) { plane_.Add(chunk); }

  std::vector<std::byte> Finish() const {
    if (encoding_ != Encoding::kPlane) return {};
    return plane_.Finish();
  }

 private:
  const Encoding encoding_;
  plane::IndexWriter plane_;
};

// Encodes a piece in memory of the host on this thread. Calls `take` with each
// chunk, then with what follows the last.
Status EncodeAll(
    const TensorPiece& piece, const KernelTable& kernels,
    const std::function<Status(const EncodedChunk& chunk)>& take_chunk,
    const std::function<Status(std::span<const std::byte>)>& take_index);

// What a piece will take in a file, whatever its encoding. As EncodeAll().
Result<uint64_t> MeasurePiece(const TensorPiece& piece,
                              const KernelTable& kernels);

}  // namespace caisson
