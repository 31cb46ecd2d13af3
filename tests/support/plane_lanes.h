// SPDX-License-Identifier: Apache-2.0
//
// The CUDA table's planes done by the host: the same code, with loops over the
// threads of a block and the lanes of a warp in place of a device's own.
#pragma once

#include <span>

#include "kernels/kernel_table.h"

namespace caisson {

// Done when they return.
Status EncodePlanesByLanes(std::span<const PlaneEncodeJob> jobs);
Status DecodePlanesByLanes(std::span<const PlaneDecodeJob> jobs);

}  // namespace caisson
