// SPDX-License-Identifier: Apache-2.0
//
// KernelTable::plane_encode and plane_decode on a CUDA device.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// The entries, with the contracts of KernelTable. The workspace is memory of
// the device that does the work, at a multiple of 256. A batch is one launch,
// and two for the CRCs of its elements.
Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace workspace,
                   Stream stream);
size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob> jobs);
Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace workspace,
                   Stream stream);
size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob> jobs);

}  // namespace caisson::cuda
