// SPDX-License-Identifier: Apache-2.0
//
// A piece that is stored as varints, block by block: first its size, then its
// bytes.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "caisson/status.h"
#include "core/engine/write/piece_source.h"
#include "core/formats/format.h"
#include "kernels/kernel_table.h"

namespace caisson {

// How many bytes the piece takes in the file. Reads all of it.
Result<uint64_t> MeasureVarints(const KernelTable& kernels,
                                const TensorPiece& piece,
                                const PieceBytes& source);

// Encodes it, some at a time. Returns its facts.
//
// Errors: those of `source` and `put`.
Result<PieceFacts> EncodeVarints(
    const KernelTable& kernels, const TensorPiece& piece,
    const PieceBytes& source,
    const std::function<Status(std::span<const std::byte>)>& put);

}  // namespace caisson
