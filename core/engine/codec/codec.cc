// SPDX-License-Identifier: Apache-2.0
#include "caisson/codec.h"

#include <algorithm>
#include <memory>
#include <string>

#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/piece_decoder.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/formats/encoded_bound.h"
#include "core/formats/plane_record.h"

namespace caisson {
namespace {

Encoding EncodingOf(Codec codec) {
  return codec == Codec::kPlane ? Encoding::kPlane : Encoding::kDeflate;
}

// DEFLATE takes bytes as they are.
DType TypeFor(Codec codec, DType dtype) {
  return codec == Codec::kPlane ? dtype : DType::kUInt8;
}

Status Inflate(std::span<const std::byte> src, std::span<std::byte> dst) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           KernelsFor(Device::Cpu()));
  const InflateJob job = {src, dst};
  return kernels->inflate(std::span(&job, 1), {});
}

Status DecodeRecord(DType dtype, std::span<const std::byte> src,
                    std::span<std::byte> dst) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           KernelsFor(Device::Cpu()));
  const size_t end = std::min(src.size(), plane::kTrailerBytes);
  CAISSON_ASSIGN_OR_RETURN(const plane::Trailer trailer,
                           plane::ParseTrailer(src.last(end), src.size()));
  CAISSON_ASSIGN_OR_RETURN(
      const plane::Index index,
      plane::ParseIndex(trailer, src.subspan(trailer.index_offset)));
  if (index.bytes() != dst.size()) {
    return Status::Corrupt("expected " + std::to_string(dst.size()) +
                           " bytes, the record has " +
                           std::to_string(index.bytes()));
  }
  if (!index.entries.empty() && index.type != PlaneTypeOf(dtype)) {
    return Status::Corrupt("elements of another kind than " +
                           std::string(Name(dtype)));
  }
  const bool swaps = kNativeOrder != ByteOrder::kLittle && SwapWidth(dtype) > 1;
  size_t at = 0;
  for (size_t i = 0; i < index.entries.size(); ++i) {
    const plane::Entry& entry = index.entries[i];
    Piece piece;
    piece.encoding = Encoding::kPlane;
    piece.plane = entry.chunk;
    piece.stored_bytes = PlaneStoredBytes(entry.chunk);
    const auto part =
        dst.subspan(at, size_t{entry.chunk.elems} * TraitsOf(index.type).width);
    const Status decoded = DecodePiece(
        *kernels, piece, src.subspan(entry.offset, piece.stored_bytes), part);
    if (!decoded.ok()) {
      return decoded.WithContext("chunk " + std::to_string(i));
    }
    at += part.size();
  }
  if (!swaps) return Status::Ok();
  const Step step = {Op::kByteSwap, dtype, dtype, CrcOf::kStored,
                     Stores::kAuto};
  Job job;
  job.src = dst.data();
  job.dst = dst.data();
  job.elems = dst.size() / ByteWidth(dtype);
  return kernels->transform(step, std::span(&job, 1), {}, {});
}

}  // namespace

size_t Bound(Codec codec, DType dtype, size_t bytes) {
  // An empty stream takes some bytes too.
  return EncodedBound(EncodingOf(codec), TypeFor(codec, dtype), bytes);
}

Result<size_t> Compress(Codec codec, DType dtype,
                        std::span<const std::byte> src,
                        std::span<std::byte> dst) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           KernelsFor(Device::Cpu()));
  const size_t bound = Bound(codec, dtype, src.size());
  if (dst.size() < bound) {
    return Status::InvalidArgument("a destination of " +
                                   std::to_string(dst.size()) +
                                   " bytes, expected " + std::to_string(bound));
  }
  dtype = TypeFor(codec, dtype);
  const size_t width = std::max<size_t>(ByteWidth(dtype), 1);
  if (src.size() % width != 0) {
    return Status::InvalidArgument(std::to_string(src.size()) + " bytes of " +
                                   std::string(Name(dtype)));
  }
  if (src.empty() && codec == Codec::kDeflate) {
    size_t stored = 0;
    const DeflateJob job = {src, dst, &stored};
    CAISSON_RETURN_IF_ERROR(kernels->deflate(1, std::span(&job, 1), {}));
    return stored;
  }
  TensorPiece piece;
  auto storage = std::make_shared<Storage>();
  storage->region.data = const_cast<std::byte*>(src.data());  // only read
  storage->region.bytes = src.size();
  piece.storage = std::move(storage);
  piece.bytes = src.size();
  piece.dtype = dtype;
  piece.encoding = EncodingOf(codec);
  size_t at = 0;
  const auto put = [&](std::span<const std::byte> bytes) -> Status {
    std::ranges::copy(bytes, dst.subspan(at).begin());
    at += bytes.size();
    return Status::Ok();
  };
  CAISSON_RETURN_IF_ERROR(EncodeAll(
      piece, *kernels,
      [&](const EncodedChunk& chunk) { return put(chunk.bytes); }, put));
  return at;
}

Status Decompress(Codec codec, DType dtype, std::span<const std::byte> src,
                  std::span<std::byte> dst) {
  return codec == Codec::kPlane ? DecodeRecord(dtype, src, dst)
                                : Inflate(src, dst);
}

}  // namespace caisson
