// SPDX-License-Identifier: Apache-2.0
//
// Reads storages and views of them, through their pieces.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "core/device/buffer.h"
#include "core/engine/read/piece_io.h"
#include "core/engine/read/sources.h"
#include "core/formats/layout.h"

namespace caisson {

// What a read did.
struct StorageRead {
  bool checked = true;      // every byte was compared with a CRC
  uint64_t file_bytes = 0;  // that were read for it
};

// An encoded piece that was decoded, of which more may be wanted.
struct DecodedPiece {
  const Piece* piece = nullptr;
  Buffer bytes;
  bool checked = false;
};

// Fills dst with the bytes [offset, offset + dst.size()) of the storage. They
// are checked if the pieces are read whole, as encoded ones always are; of
// those only what has a part of the bytes is read. `last`, unless null, keeps
// the piece that was decoded last.
//
// Errors: those of ReadPiece.
Result<StorageRead> ReadStorage(const Sources& sources,
                                const StorageLayout& storage, uint64_t offset,
                                std::span<std::byte> dst, CrcCheck check,
                                DecodedPiece* last = nullptr);

// Fills dst with all elements of the storage, which has them as `from`, as
// `to`.
//
// REQUIRES: dst.size() is what ReadPieceAs() wants, for all pieces together.
// Errors: those of ReadPieceAs.
Result<StorageRead> ReadStorageAs(const Sources& sources,
                                  const StorageLayout& storage, DType from,
                                  DType to, std::span<std::byte> dst,
                                  CrcCheck check);

// Fills dst with the elements of `view`, dense and row-major. Reads little
// more than what the view touches. A view that spans the whole storage is
// checked, unless it leaves out most of a large one.
//
// REQUIRES: `view` is a valid view of `storage`; dst.size() is its bytes; its
// dtype fills whole bytes.
Result<StorageRead> ReadView(const Sources& sources,
                             const StorageLayout& storage,
                             const TensorView& view, std::span<std::byte> dst,
                             CrcCheck check);

}  // namespace caisson
