// SPDX-License-Identifier: Apache-2.0
//
// Chunks of the plane codec, encoded and decoded one at a time by a table or by
// the plain coder, each in memory of its own.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernel_table.h"

namespace caisson {

struct EncodedChunk {
  PlaneChunk chunk;
  std::vector<std::byte> bytes;

  bool operator==(const EncodedChunk&) const = default;
};

// Null: the plain coder.
EncodedChunk EncodeChunk(const KernelTable* kernels,
                         std::span<const std::byte> src, PlaneType type);

// Decodes `bytes` as `chunk` to `dst`, which has room for it.
PlaneFault DecodeChunk(const KernelTable* kernels, const PlaneChunk& chunk,
                       std::span<const std::byte> bytes,
                       std::span<std::byte> dst);

// Bytes of the elements of a chunk.
inline size_t ElemBytes(const PlaneChunk& chunk) {
  return size_t{chunk.elems} * TraitsOf(chunk.type).width;
}

}  // namespace caisson
