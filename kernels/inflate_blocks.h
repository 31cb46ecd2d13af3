// SPDX-License-Identifier: Apache-2.0
//
// Decodes a DEFLATE stream that comes in blocks, so that it need not be held
// whole in memory. Where ISA-L is missing nothing here does; then
// KernelTable::inflate does it at once.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "caisson/status.h"

namespace caisson {

// Whether this build has it.
bool CanInflateBlocks();

// Gives the next bytes of the stream, valid until it is called again; none when
// there are no more.
using NextBlock = std::function<Result<std::span<const std::byte>>()>;

// Fills dst. Errors: those of `next`; kCorrupt if the stream is damaged, does
// not fill dst exactly, or does not end with its last block; kUnsupported where
// this build lacks it.
Status InflateBlocks(const NextBlock& next, std::span<std::byte> dst);

}  // namespace caisson
