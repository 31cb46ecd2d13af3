// SPDX-License-Identifier: Apache-2.0
//
// zstd and LZ4 as peers, where the build found both. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace caisson::bench {

struct Compressor {
  std::string name;  // "zstd-1"

  // The size of what was made of `src`, or 0 if `dst` is too small.
  size_t (*encode)(std::span<const std::byte> src, std::span<std::byte> dst);

  // Whether `src` was decoded and fills `dst`.
  bool (*decode)(std::span<const std::byte> src, std::span<std::byte> dst);
};

// None where the build found none.
std::span<const Compressor> Compressors();

}  // namespace caisson::bench
