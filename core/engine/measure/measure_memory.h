// SPDX-License-Identifier: Apache-2.0
//
// What measurements do to memory. Each function blocks until all is done.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/dtype.h"
#include "caisson/status.h"
#include "core/engine/worker_pool.h"

namespace caisson {

// Fills `bytes` with weights, N(0, 0.02), as bfloat16 or float32, by all
// workers; the same in every run, others for another seed.
void FillWeights(WorkerPool& workers, DType dtype, uint64_t seed,
                 std::span<std::byte> bytes);

// Copies in shares, one for each worker.
//
// REQUIRES: the spans are of one size and disjoint.
void CopyInShares(WorkerPool& workers, std::span<const std::byte> src,
                  std::span<std::byte> dst);

// Touches fresh memory in shares, one for each worker.
//
// REQUIRES: memory is a whole Buffer.
// Errors: kOutOfMemory.
Status TouchInShares(WorkerPool& workers, std::span<std::byte> memory);

// Reads all of it and does as little as can be with it.
uint64_t XorOfWords(std::span<const std::byte> bytes);

// Keeps the compiler from dropping what `value` came from.
inline void Use(uint64_t value) { asm volatile("" : : "r"(value) : "memory"); }

}  // namespace caisson
