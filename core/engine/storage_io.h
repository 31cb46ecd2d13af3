// SPDX-License-Identifier: Apache-2.0
//
// Reads storages and views of them, through their pieces.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/engine/piece_io.h"
#include "core/formats/layout.h"

namespace caisson {

// Fills dst with the bytes [offset, offset + dst.size()) of the storage.
// Returns whether every byte was compared with a CRC, which takes pieces that
// are read whole.
//
// Errors: those of ReadPiece.
Result<bool> ReadStorage(const ByteSource& source, const StorageLayout& storage,
                         uint64_t offset, std::span<std::byte> dst,
                         CrcCheck check);

// Fills dst with the elements of `view`, dense and row-major. Reads only what
// the view spans; a view that spans the whole storage is checked.
//
// REQUIRES: `view` is a valid view of `storage`; dst.size() is its bytes; its
// dtype fills whole bytes.
Result<bool> ReadView(const ByteSource& source, const StorageLayout& storage,
                      const TensorView& view, std::span<std::byte> dst,
                      CrcCheck check);

}  // namespace caisson
