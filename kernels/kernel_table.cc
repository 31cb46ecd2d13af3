// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernel_table.h"

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cuda/cuda_kernels.h"

namespace caisson {

Result<const KernelTable*> KernelsFor(Device device) {
  switch (device.space) {
    case Device::Space::kCpu:
      return cpu::Kernels();
    case Device::Space::kCuda:
      return cuda::Kernels();
  }
  return Status::InvalidArgument("device in a memory space that has no name");
}

}  // namespace caisson
