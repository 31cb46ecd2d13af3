// SPDX-License-Identifier: Apache-2.0
//
// CUDA's column of the kernel table. A link seam: a build without CUDA kernels
// has absent.cc behind this header.
#pragma once

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// The table, or kUnavailable with the reason. Any thread.
Result<const KernelTable*> Kernels();

}  // namespace caisson::cuda
