// SPDX-License-Identifier: Apache-2.0
//
// Makes a finished DEFLATE stream one that another may follow. RFC 1951.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <span>

namespace caisson::cpu {

// The most bytes that OpenStream() adds.
inline constexpr size_t kOpenBytes = 6;

// Clears the mark of the last block of the stream that is the first `bytes` of
// `dst`, and adds an empty stored block, as a full flush does. Returns the
// bytes of the result.
//
// REQUIRES: an encoder made the stream; its source has not more than it says,
// that is, nothing follows the stream; dst.size() >= bytes + kOpenBytes.
// Returns 0 for what is no stream.
size_t OpenStream(std::span<std::byte> dst, size_t bytes);

}  // namespace caisson::cpu
