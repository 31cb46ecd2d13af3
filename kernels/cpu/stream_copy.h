// SPDX-License-Identifier: Apache-2.0
//
// Copies past the caches, for bytes that no one on this CPU reads soon.
#pragma once

#include <cstddef>

namespace caisson::cpu {

// What a non-temporal store fills at once, and dst has to be aligned to.
inline constexpr size_t kLineBytes = 64;

// Copies `bytes` bytes; the whole lines among them do not stay in the caches.
// Other threads see them after StreamFence().
//
// REQUIRES: dst is a multiple of kLineBytes; the ranges are disjoint.
void StreamCopy(const std::byte* src, std::byte* dst, size_t bytes);

// Makes what this thread copied visible to others, as ordinary stores are.
void StreamFence();

}  // namespace caisson::cpu
