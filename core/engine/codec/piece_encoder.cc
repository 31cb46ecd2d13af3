// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/piece_encoder.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/encoded_bound.h"

namespace caisson {
namespace {

// Of records with many chunks, by ISA-L, and of those with one, by libdeflate:
// docs/benchmarks.md.
constexpr int kChunkLevel = 1;
constexpr int kSingleLevel = 6;

// An empty last block, with which a stream of chunks ends: RFC 1951, 3.2.4. The
// encoder that ends a chunk itself is slower than the one that does not.
constexpr std::array<uint8_t, 5> kEndBlock = {1, 0, 0, 0xff, 0xff};

}  // namespace

Status Grow(Buffer& buffer, size_t bytes) {
  if (buffer.size() >= bytes) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(buffer, Buffer::Allocate(bytes));
  return Status::Ok();
}

PieceEncoder::PieceEncoder(TensorPiece piece, const KernelTable& kernels)
    : piece_(std::move(piece)),
      kernels_(kernels),
      chunk_bytes_(EncodedChunkBytes(piece_.encoding, piece_.dtype)),
      chunks_(EncodedChunks(piece_.encoding, piece_.dtype, piece_.bytes)) {}

size_t PieceEncoder::ChunkBytes(size_t i) const {
  return static_cast<size_t>(
      std::min(chunk_bytes_, piece_.bytes - i * chunk_bytes_));
}

Status PieceEncoder::Encode(size_t i, std::span<const std::byte> src,
                            EncodeRoom& room, EncodedChunk* chunk) const {
  if (piece_.order != kNativeOrder && SwapWidth(piece_.dtype) > 1) {
    CAISSON_RETURN_IF_ERROR(Grow(room.source, src.size()));
    const Step step = {Op::kByteSwap, piece_.dtype, piece_.dtype,
                       CrcOf::kStored, Stores::kCached};
    Job job;
    job.src = src.data();
    job.dst = room.source.data();
    job.elems = src.size() / ByteWidth(piece_.dtype);
    CAISSON_RETURN_IF_ERROR(
        kernels_.transform(step, std::span(&job, 1), {}, {}));
    src = room.source.bytes().first(src.size());
  }
  return piece_.encoding == Encoding::kPlane ? EncodePlane(src, room, chunk)
                                             : Deflate(i, src, room, chunk);
}

Status PieceEncoder::EncodePlane(std::span<const std::byte> src,
                                 EncodeRoom& room, EncodedChunk* chunk) const {
  PlaneEncodeJob job;
  job.src = src.data();
  job.type = PlaneTypeOf(piece_.dtype);
  job.elems = static_cast<uint32_t>(src.size() / TraitsOf(job.type).width);
  job.chunk = &chunk->plane;
  CAISSON_RETURN_IF_ERROR(Grow(room.encoded, PlaneBound(job.type, job.elems)));
  job.dst = room.encoded.data();
  const size_t scratch = kernels_.plane_encode_bytes(std::span(&job, 1));
  CAISSON_RETURN_IF_ERROR(Grow(room.scratch, scratch));
  CAISSON_RETURN_IF_ERROR(kernels_.plane_encode(
      std::span(&job, 1), {room.scratch.data(), room.scratch.size()}, {}));
  chunk->bytes = room.encoded.bytes().first(PlaneStoredBytes(chunk->plane));
  chunk->crc32 = chunk->plane.crc32;
  return Status::Ok();
}

Status PieceEncoder::Deflate(size_t i, std::span<const std::byte> src,
                             EncodeRoom& room, EncodedChunk* chunk) const {
  const size_t bound = kernels_.deflate_bound(src.size());
  CAISSON_RETURN_IF_ERROR(Grow(room.encoded, bound + kEndBlock.size()));
  size_t stored = 0;
  const bool single = chunks_ == 1;
  const DeflateJob job = {src, room.encoded.bytes().first(bound), &stored,
                          /*ends=*/single};
  const int level = single ? kSingleLevel : kChunkLevel;
  CAISSON_RETURN_IF_ERROR(kernels_.deflate(level, std::span(&job, 1), {}));
  if (!single && i + 1 == chunks_) {
    std::ranges::copy(std::as_bytes(std::span(kEndBlock)),
                      &room.encoded.bytes()[stored]);
    stored += kEndBlock.size();
  }
  chunk->bytes = room.encoded.bytes().first(stored);
  chunk->crc32 = Crc32(0, src);
  return Status::Ok();
}

Status EncodeAll(
    const TensorPiece& piece, const KernelTable& kernels,
    const std::function<Status(const EncodedChunk& chunk)>& take_chunk,
    const std::function<Status(std::span<const std::byte>)>& take_index) {
  const PieceEncoder encoder(piece, kernels);
  ChunkIndex index(piece.encoding);
  EncodeRoom room;
  for (size_t i = 0; i < encoder.chunks(); ++i) {
    const std::span<const std::byte> src(
        piece.storage->region.data + encoder.ChunkOffset(i),
        encoder.ChunkBytes(i));
    EncodedChunk chunk;
    CAISSON_RETURN_IF_ERROR(encoder.Encode(i, src, room, &chunk));
    index.Add(chunk);
    CAISSON_RETURN_IF_ERROR(take_chunk(chunk));
  }
  const std::vector<std::byte> rest = index.Finish();
  return rest.empty() ? Status::Ok() : take_index(rest);
}

Result<uint64_t> MeasurePiece(const TensorPiece& piece,
                              const KernelTable& kernels) {
  if (piece.encoding == Encoding::kRaw) return piece.bytes;
  uint64_t bytes = 0;
  const auto take = [&](std::span<const std::byte> stored) {
    bytes += stored.size();
    return Status::Ok();
  };
  CAISSON_RETURN_IF_ERROR(EncodeAll(
      piece, kernels,
      [&](const EncodedChunk& chunk) { return take(chunk.bytes); }, take));
  return bytes;
}

}  // namespace caisson
