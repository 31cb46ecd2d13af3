// SPDX-License-Identifier: Apache-2.0
//
// Reverses the bytes of units of 2, 4 or 8. Any thread.
#pragma once

#include <cstddef>

namespace caisson::cpu {

// Writes `bytes` bytes to `dst`: those of `src`, each unit of `width` bytes
// reversed. Any alignment.
//
// REQUIRES: width is 2, 4 or 8 and divides bytes; src == dst, or the ranges
// are disjoint.
void SwapBytes(const std::byte* src, std::byte* dst, size_t bytes,
               size_t width);

}  // namespace caisson::cpu
