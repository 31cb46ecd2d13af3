// SPDX-License-Identifier: Apache-2.0
//
// KernelTable::transform on a CUDA device.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// The entries, with the contracts of KernelTable. The workspace is memory of
// the device that does the work, at a multiple of 256.
Status Transform(const Step& step, std::span<const Job> jobs,
                 Workspace workspace, Stream stream);
size_t WorkspaceBytes(const Step& step, std::span<const Job> jobs);

}  // namespace caisson::cuda
