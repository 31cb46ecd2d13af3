// SPDX-License-Identifier: Apache-2.0
//
// The CUDA table's work done by the host, lane after lane: the same plan, the
// same tiles and the same arithmetic, slab by slab as a warp does it. So a
// machine without a GPU tests all of it but the kernels' own few lines.
#pragma once

#include "kernels/kernel_table.h"

namespace caisson {

// "cuda_lanes"; works on host memory, and is done when it returns. Its plan is
// for as few warps as `warps` says, so that small jobs have several tiles.
const KernelTable& CudaLanes();

}  // namespace caisson
