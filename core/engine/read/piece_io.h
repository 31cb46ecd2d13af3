// SPDX-License-Identifier: Apache-2.0
//
// Moves one piece of a file into memory: read, decoded, in native byte order,
// its CRC taken in the same pass.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "caisson/dtype.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"

namespace caisson {

// Whether a CRC is compared.
enum class CrcCheck : bool { kOff, kOn };

// What messages call piece `i` of a storage: "record 'data/3', chunk 5".
std::string PieceName(const StorageLayout& storage, size_t i);

// Fills dst with all of `piece`, in units of `dtype`. Returns whether its CRC
// was compared, which takes CrcCheck::kOn and a piece that has one.
//
// REQUIRES: dst.size() is the piece's decoded size.
// Errors: kCorrupt, naming `what` and the piece's offset, if the CRC differs
// or the encoding is damaged; kUnsupported for an encoding that this build
// cannot decode; kIo.
Result<bool> ReadPiece(const ByteSource& source, const Piece& piece,
                       DType dtype, std::span<std::byte> dst, CrcCheck check,
                       const std::string& what);

// Fills dst with the elements of `piece` as `to`; the file has them as `from`.
// Takes a block of scratch for a raw piece, and the decoded piece for another.
//
// REQUIRES: the piece's decoded size is elems * ByteWidth(from), and dst's
// elems * ByteWidth(to), for some elems; the CPU's kernels convert the pair.
// Errors: those of ReadPiece.
Result<bool> ReadPieceAs(const ByteSource& source, const Piece& piece,
                         DType from, DType to, std::span<std::byte> dst,
                         CrcCheck check, const std::string& what);

// Fills dst with the bytes [offset, offset + dst.size()) of `piece`, unchecked.
//
// REQUIRES: the piece is raw; where its bytes are swapped, offset and
// dst.size() are multiples of ByteWidth(dtype).
Status ReadPieceRange(const ByteSource& source, const Piece& piece, DType dtype,
                      uint64_t offset, std::span<std::byte> dst,
                      const std::string& what);

// Reads all of `piece` and compares its CRC; keeps nothing. A piece without a
// CRC is read too, so that a damaged encoding is found.
Result<bool> CheckPiece(const ByteSource& source, const Piece& piece,
                        DType dtype, const std::string& what);

}  // namespace caisson
