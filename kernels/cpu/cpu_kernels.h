// SPDX-License-Identifier: Apache-2.0
//
// The host's column of the kernel table. Each entry picks its SIMD target at
// run time, ignores the stream, and is done when it returns.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/dtype.h"
#include "caisson/memory.h"
#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::cpu {

// Never null; a constant.
const KernelTable* Kernels();

// The entries, with the contracts of KernelTable. Transform needs no
// workspace.
Status Transform(const Step& step, std::span<const Job> jobs,
                 Workspace workspace, Stream stream);
size_t WorkspaceBytes(const Step& step, std::span<const Job> jobs);
Status Inflate(std::span<const InflateJob> jobs, Stream stream);
Status Deflate(int level, std::span<const DeflateJob> jobs, Stream stream);
size_t DeflateBound(size_t bytes);
Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace workspace,
                   Stream stream);
size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob> jobs);
Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace workspace,
                   Stream stream);
size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob> jobs);
Status EncodeVarints(DType dtype, std::span<const VarintEncodeJob> jobs,
                     Stream stream);
Status DecodeVarints(DType dtype, std::span<const VarintDecodeJob> jobs,
                     Stream stream);

}  // namespace caisson::cpu
