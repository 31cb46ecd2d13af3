// SPDX-License-Identifier: Apache-2.0
//
// The codecs of compressed files, for users who want just those: DEFLATE, in
// chunks that are one raw stream (RFC 1951), and the plane codec, whose records
// docs/codec.md specifies. On the calling thread, which they keep busy.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/dtype.h"
#include "caisson/status.h"

namespace caisson {

enum class Codec : uint8_t { kDeflate, kPlane };

// Room for whatever Compress() makes of `bytes` of `dtype`.
size_t Bound(Codec codec, DType dtype, size_t bytes);

// Compresses `src`, which are elements of `dtype` in this machine's byte order,
// into `dst`; returns how many bytes of it they take. DEFLATE does not look at
// the type.
//
// Errors: kInvalidArgument if dst is smaller than the bound, or for the plane
// codec if src is not whole elements; kOutOfMemory.
Result<size_t> Compress(Codec codec, DType dtype,
                        std::span<const std::byte> src,
                        std::span<std::byte> dst);

// The inverse. DEFLATE streams of any encoder are decoded; those of Compress()
// have no checksum, and records of the plane codec have one for each chunk.
// On error the contents of `dst` are unspecified.
//
// Errors: kCorrupt if src is damaged or has not exactly dst.size() bytes, and
// for the plane codec if it has elements of another kind than `dtype`;
// kUnsupported for a version that this build does not know; kOutOfMemory.
Status Decompress(Codec codec, DType dtype, std::span<const std::byte> src,
                  std::span<std::byte> dst);

}  // namespace caisson
