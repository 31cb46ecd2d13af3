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

std::string_view Name(PlaneFault fault) {
  switch (fault) {
    case PlaneFault::kNone:
      return "";
    case PlaneFault::kFields:
      return "its index entry contradicts itself";
    case PlaneFault::kTable:
      return "its table of symbols is damaged";
    case PlaneFault::kSegments:
      return "its segments do not fill its coded part";
    case PlaneFault::kStream:
      return "its coded symbols are damaged";
    case PlaneFault::kFiller:
      return "what fills it up is not what it should be";
    case PlaneFault::kCrc:
      return "its CRC-32 is not that of its elements";
  }
  return "a fault that has no name";
}

}  // namespace caisson
