// SPDX-License-Identifier: Apache-2.0
//
// Gives a piece's decoded bytes in order, some at a time, and compares its
// CRC when the last of them are taken.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/engine/read/piece_io.h"
#include "core/formats/layout.h"

namespace caisson {

class RecordChunks {
 public:
  // `piece` counts bytes; `what` names it in messages.
  RecordChunks(ByteSource source, const Piece& piece, CrcCheck check,
               std::string what);

  uint64_t bytes() const { return piece_.elems; }

  // The next min(dst.size(), what is left) bytes; returns how many, 0 at the
  // end. A raw piece is read as it is taken. An encoded one is decoded whole
  // by the first call, and kept.
  //
  // Errors: those of ReadPiece; kCorrupt with the last bytes if the CRC
  // differs. After an error every call returns it.
  Result<size_t> Next(std::span<std::byte> dst);

 private:
  Status Take(std::span<std::byte> dst);

  ByteSource source_;
  Piece piece_;
  CrcCheck check_;
  std::string what_;
  std::unique_ptr<std::byte[]> decoded_;  // null: raw, or nothing taken yet
  uint64_t position_ = 0;
  uint32_t crc_ = 0;  // of the bytes before position_
  Status first_error_;
};

// OK if `crc` is what `piece` has, or it has none.
Status CompareCrc(const ByteSource& source, const Piece& piece, uint32_t crc,
                  const std::string& what);

}  // namespace caisson
