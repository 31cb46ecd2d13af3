// SPDX-License-Identifier: Apache-2.0
//
// Chunks of DEFLATE streams that others follow: by ISA-L where it exists, else
// by libdeflate.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::cpu {

// Encodes a job that does not end. `level` as of KernelTable::deflate.
//
// Errors: kInvalidArgument if dst is too small, kOutOfMemory.
Status DeflateChunk(int level, const DeflateJob& job);

// What DeflateChunk() needs for `bytes`, at the most.
size_t DeflateChunkBound(size_t bytes);

}  // namespace caisson::cpu
