// SPDX-License-Identifier: Apache-2.0
//
// Decodes a piece whose stored bytes are in memory.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/status.h"
#include "core/formats/layout.h"
#include "kernels/kernel_table.h"

namespace caisson {

// Whether this build decodes it.
inline bool CanDecode(Encoding encoding) {
  return encoding == Encoding::kDeflate || encoding == Encoding::kPlane;
}

// Whether decoding alone tells that the bytes are what was encoded, so that
// their CRC need not be taken again.
inline bool ChecksItself(const Piece& piece) {
  return piece.encoding == Encoding::kPlane;
}

// Fills dst with the elements of `piece`, in the file's byte order, from its
// stored bytes.
//
// REQUIRES: CanDecode(); src.size() is the piece's stored_bytes, dst.size()
// what it has decoded. Errors: kCorrupt, saying what is wrong and not where.
Status DecodePiece(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst,
                   Stores stores);

}  // namespace caisson
