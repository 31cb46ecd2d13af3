// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/tensor_piece.h"

#include <cassert>
#include <string>

#include "core/base/endian.h"

namespace caisson {

PieceStep StepOf(const TensorPiece& piece) {
  const bool swaps = piece.order != kNativeOrder && SwapWidth(piece.dtype) > 1;
  PieceStep result;
  result.unit = swaps ? ByteWidth(piece.dtype) : 1;
  assert(piece.bytes % result.unit == 0);
  result.step.op = swaps ? Op::kByteSwap : Op::kCopy;
  result.step.from = result.step.to = swaps ? piece.dtype : DType::kUInt8;
  result.step.crc_of = CrcOf::kStored;
  return result;
}

Status CheckWritable(const TensorPiece& piece) {
  const bool can = piece.encoding == Encoding::kRaw ||
                   piece.encoding == Encoding::kDeflate ||
                   piece.encoding == Encoding::kPlane ||
                   IsVarints(piece.encoding);
  if (!can) {
    return Status::Unsupported("an encoding that this build cannot produce");
  }
  const Region& region = piece.storage->region;
  if (!piece.storage->resident()) {
    return Status::InvalidArgument("a storage of " +
                                   std::to_string(region.bytes) +
                                   " bytes that is not in memory; load it "
                                   "first");
  }
  return Status::Ok();
}

Status CheckOnHost(const TensorPiece& piece) {
  const Region& region = piece.storage->region;
  if (region.device.is_cpu()) return Status::Ok();
  return Status::Unavailable("a storage on " + Name(region.device) +
                             ": only an Engine saves from devices");
}

}  // namespace caisson
