// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/piece_source.h"

#include <vector>

#include "core/base/endian.h"
#include "core/base/status_macros.h"

namespace caisson {

Region PieceSource::RegionOf(const TensorPiece& piece) const {
  if (devices_.snapshot == nullptr) return piece.storage->region;
  return devices_.snapshot->Find(*piece.storage);
}

Status PieceSource::Fetch(const TensorPiece& piece, uint64_t offset,
                          std::span<std::byte> dst) {
  const Region region = RegionOf(piece);
  CAISSON_ASSIGN_OR_RETURN(const size_t place, stagers_.PlaceOf(region.device));
  return stagers_.At(place).Fetch(region.data + offset, dst);
}

Result<PieceSource::Encoder> PieceSource::EncoderOf(const TensorPiece& piece,
                                                    uint64_t bytes) {
  const Region region = RegionOf(piece);
  if (region.device.is_cpu() || piece.bytes == 0) return Encoder();
  if (piece.encoding != Encoding::kPlane) {
    no_encoder_ = "no device deflates";
    return Encoder();
  }
  if (piece.order != kNativeOrder && SwapWidth(piece.dtype) > 1) {
    no_encoder_ = "no device swaps what it encodes";
    return Encoder();
  }
  CAISSON_ASSIGN_OR_RETURN(const size_t place, stagers_.PlaceOf(region.device));
  CAISSON_ASSIGN_OR_RETURN(DeviceEncoder* const encoder,
                           stagers_.EncoderAt(place, bytes));
  if (encoder == nullptr) no_encoder_ = stagers_.NoEncoder(place);
  return Encoder{encoder, place};
}

PieceBytes PieceSource::BytesOf(const TensorPiece& piece) {
  return [this, &piece, fetched = std::vector<std::byte>()](
             uint64_t at,
             size_t bytes) mutable -> Result<std::span<const std::byte>> {
    const Region region = RegionOf(piece);
    if (region.device.is_cpu()) {
      return std::span<const std::byte>(region.data + piece.offset + at, bytes);
    }
    fetched.resize(bytes);
    CAISSON_RETURN_IF_ERROR(Fetch(piece, piece.offset + at, fetched));
    return std::span<const std::byte>(fetched);
  };
}

}  // namespace caisson
