// SPDX-License-Identifier: Apache-2.0
//
// What encoded records take: the chunks that they are cut into, and their size
// at the most, which is known before a byte is encoded.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/dtype.h"
#include "core/formats/layout.h"

namespace caisson {

// Deflated records are cut into chunks of this many decoded bytes, the last one
// short. bench/deflate_bench.cc. A multiple of every element's size.
inline constexpr uint64_t kDeflateChunkBytes = uint64_t{256} << 10;

// Decoded bytes of each chunk but the last. REQUIRES: kDeflate or kPlane.
uint64_t EncodedChunkBytes(Encoding encoding, DType dtype);

// How many chunks `bytes` are cut into.
uint64_t EncodedChunks(Encoding encoding, DType dtype, uint64_t bytes);

// The most that `bytes` of `dtype` take. An encoder that would need more has a
// fault.
uint64_t EncodedBound(Encoding encoding, DType dtype, uint64_t bytes);

}  // namespace caisson
