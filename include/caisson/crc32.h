// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 as zip, gzip and zlib have it: polynomial 0xEDB88320 (reflected),
// initial value and final xor 0xFFFFFFFF. APPNOTE 4.4.7, RFC 1952 section 8.
//
// Pure functions; any thread. The instruction set is chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson {

// The CRC of the bytes that gave `crc`, followed by `bytes`; start with 0.
// Any alignment. The same as zlib's crc32(crc, data, size).
uint32_t Crc32(uint32_t crc, std::span<const std::byte> bytes);

// The CRC of A followed by B, where `crc_a` is that of A, `crc_b` that of B,
// and B has `bytes_b` bytes. Touches neither.
uint32_t Crc32Combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b);

// Copies `src` to `dst` and gives Crc32(crc, src), in one pass over memory.
// Large copies go past the caches.
//
// REQUIRES: `dst` has room for src.size() bytes; the ranges are disjoint, or
// the same.
uint32_t Crc32Copy(uint32_t crc, std::span<const std::byte> src,
                   std::byte* dst);

// The same with the bytes of every `width` reversed on the way. The CRC is of
// what is stored.
//
// REQUIRES: a width of 2, 4 or 8 that divides src.size().
uint32_t Crc32CopySwapped(uint32_t crc, std::span<const std::byte> src,
                          size_t width, std::byte* dst);

}  // namespace caisson
