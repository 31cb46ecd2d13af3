// SPDX-License-Identifier: Apache-2.0
//
// ISA-L as a peer, where the build found it. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace caisson::bench {

struct IsaL {
  // As zlib's crc32.
  uint32_t (*crc32)(uint32_t crc, std::span<const std::byte> bytes);

  // Encodes one raw DEFLATE stream at level 1; its size, or 0 if `dst` is too
  // small.
  size_t (*deflate)(std::span<const std::byte> src, std::span<std::byte> dst);

  // Whether `src` is a raw DEFLATE stream that fills `dst`.
  bool (*inflate)(std::span<const std::byte> src, std::span<std::byte> dst);
};

// Null where the build found none.
const IsaL* FindIsaL();

}  // namespace caisson::bench
