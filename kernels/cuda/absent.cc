// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cuda_kernels.h"

namespace caisson::cuda {

Result<const KernelTable*> Kernels() {
  return Status::Unavailable("built without CUDA kernels");
}

}  // namespace caisson::cuda
