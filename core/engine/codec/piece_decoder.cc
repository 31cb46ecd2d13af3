// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/piece_decoder.h"

#include <memory>
#include <string>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

Status DecodePlane(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst) {
  CAISSON_RETURN_IF_ERROR(CheckSizes(piece, dst.size()));
  PlaneFault fault = PlaneFault::kNone;
  PlaneDecodeJob job;
  job.src = src.data();
  job.chunk = piece.plane;
  job.dst = dst.data();
  job.fault = &fault;
  const size_t scratch_bytes = kernels.plane_decode_bytes(std::span(&job, 1));
  const std::unique_ptr<std::byte[]> scratch(
      scratch_bytes == 0 ? nullptr : new std::byte[scratch_bytes]);
  CAISSON_RETURN_IF_ERROR(kernels.plane_decode(
      std::span(&job, 1), {scratch.get(), scratch_bytes}, {}));
  return FaultStatus(fault);
}

}  // namespace

Status CheckSizes(const Piece& piece, uint64_t bytes) {
  const PlaneChunk& chunk = piece.plane;
  if (uint64_t{chunk.elems} * TraitsOf(chunk.type).width == bytes &&
      PlaneStoredBytes(chunk) == piece.stored_bytes) {
    return Status::Ok();
  }
  return Status::Corrupt("its sizes are not those of its fields");
}

Status FaultStatus(PlaneFault fault) {
  if (fault == PlaneFault::kNone) return Status::Ok();
  return Status::Corrupt(std::string(Name(fault)));
}

Status DecodePiece(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst) {
  if (piece.encoding == Encoding::kPlane) {
    return DecodePlane(kernels, piece, src, dst);
  }
  const InflateJob job = {src, dst, piece.ends};
  return kernels.inflate(std::span(&job, 1), {});
}

}  // namespace caisson
