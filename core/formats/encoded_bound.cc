// SPDX-License-Identifier: Apache-2.0
#include "core/formats/encoded_bound.h"

#include "caisson/plane_chunk.h"

namespace caisson {

uint64_t EncodedChunkBytes(Encoding encoding, DType dtype) {
  if (encoding != Encoding::kPlane) return kDeflateChunkBytes;
  const PlaneType type = PlaneTypeOf(dtype);
  return uint64_t{PlaneChunkElems(type)} * TraitsOf(type).width;
}

uint64_t EncodedChunks(Encoding encoding, DType dtype, uint64_t bytes) {
  const uint64_t most = EncodedChunkBytes(encoding, dtype);
  return bytes / most + (bytes % most != 0 ? 1 : 0);
}

// What does not compress is stored in DEFLATE's blocks of up to 65535 bytes
// with 5 bytes before each, or in smaller ones by libdeflate; each chunk ends
// with 5 bytes, and wastes some bits.
uint64_t EncodedBound(Encoding encoding, DType dtype, uint64_t bytes) {
  if (encoding == Encoding::kPlane) {
    const PlaneType type = PlaneTypeOf(dtype);
    return PlaneRecordBound(type, bytes / TraitsOf(type).width);
  }
  return bytes + bytes / 512 + 64 * EncodedChunks(encoding, dtype, bytes) + 64;
}

}  // namespace caisson
