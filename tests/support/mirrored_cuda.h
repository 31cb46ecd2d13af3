// SPDX-License-Identifier: Apache-2.0
//
// The CUDA table for tests that have their bytes in host memory: what a batch
// reads and writes is copied to the device, at the same place within 256 bytes,
// and what it wrote is copied back. Bytes around each destination are looked at
// afterwards.
//
// With CAISSON_EXACT_ALLOCATIONS set, every range is an allocation of its own,
// so that compute-sanitizer sees each byte that is read beyond one.
#pragma once

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson {

// "cuda", or kUnavailable with the reason. Its transform is done when it
// returns; one thread at a time.
Result<const KernelTable*> MirroredCuda();

}  // namespace caisson
