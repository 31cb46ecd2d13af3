// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/piece_decoder.h"

#include <memory>
#include <string>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

Status DecodePlane(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst,
                   Stores stores) {
  const uint64_t bytes =
      uint64_t{piece.plane.elems} * TraitsOf(piece.plane.type).width;
  if (bytes != dst.size() || PlaneStoredBytes(piece.plane) != src.size()) {
    return Status::Corrupt("its sizes are not those of its fields");
  }
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
      stores, std::span(&job, 1), {scratch.get(), scratch_bytes}, {}));
  if (fault == PlaneFault::kNone) return Status::Ok();
  return Status::Corrupt(std::string(Name(fault)));
}

}  // namespace

Status DecodePiece(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst,
                   Stores stores) {
  if (piece.encoding == Encoding::kPlane) {
    return DecodePlane(kernels, piece, src, dst, stores);
  }
  const InflateJob job = {src, dst, piece.ends};
  return kernels.inflate(std::span(&job, 1), {});
}

}  // namespace caisson
