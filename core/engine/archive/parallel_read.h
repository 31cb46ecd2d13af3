// SPDX-License-Identifier: Apache-2.0
//
// Reads one raw piece through several sources of the same bytes, a thread
// each: for adapters whose single stream is slower than the network or disk.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/engine/read/piece_io.h"
#include "core/formats/layout.h"

namespace caisson {

// Fills dst with `piece`, split into ranges of equal size, one for each
// source; the calling thread reads the first. Blocks until all are done. The
// CRC is taken range by range and compared with the whole piece's.
//
// REQUIRES: sources is not empty; piece.encoding is kRaw and counts bytes;
// dst.size() == piece.elems.
// Errors: the first in file order; kCorrupt if the CRC differs.
Status ReadPieceInParallel(std::span<const ByteSource> sources,
                           const Piece& piece, std::span<std::byte> dst,
                           CrcCheck check, const std::string& what);

}  // namespace caisson
