// SPDX-License-Identifier: Apache-2.0
//
// Decodes a piece whose stored bytes are in memory.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Whether the fields of `piece`, a chunk of the plane codec, say what it has:
// `bytes` of elements, and its stored bytes. Errors: kCorrupt.
Status CheckSizes(const Piece& piece, uint64_t bytes);

// What a chunk with this fault gets. Errors: kCorrupt.
Status FaultStatus(PlaneFault fault);

// Fills dst with the elements of `piece`, in the file's byte order, from its
// stored bytes.
//
// REQUIRES: CanDecode(); src.size() is the piece's stored_bytes, dst.size()
// what it has decoded. Errors: kCorrupt, saying what is wrong and not where.
Status DecodePiece(const KernelTable& kernels, const Piece& piece,
                   std::span<const std::byte> src, std::span<std::byte> dst);

}  // namespace caisson
