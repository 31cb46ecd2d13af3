// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include "core/device/cuda_native.h"
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/plane.h"
#include "kernels/cuda/transform.h"

namespace caisson::cuda {
namespace {

Status Inflate(std::span<const InflateJob>, Stream) {
  return Status::Unsupported("no CUDA kernel decodes DEFLATE");
}

Status Deflate(int, std::span<const DeflateJob>, Stream) {
  return Status::Unsupported("no CUDA kernel encodes DEFLATE");
}

size_t DeflateBound(size_t) { return 0; }

Status EncodeVarints(DType, std::span<const VarintEncodeJob>, Stream) {
  return Status::Unsupported("no CUDA kernel encodes varints");
}

Status DecodeVarints(DType, std::span<const VarintDecodeJob>, Stream) {
  return Status::Unsupported("no CUDA kernel decodes varints");
}

// Whether there is a device, and a driver that takes this runtime's kernels.
Status Available() {
  int driver = 0;
  if (Status status = FromCuda(cudaDriverGetVersion(&driver),
                               "ask for the CUDA driver's version");
      !status.ok()) {
    return status;
  }
  if (driver == 0) {
    return Status::Unavailable("no CUDA driver on this machine");
  }
  int count = 0;
  if (Status status =
          FromCuda(cudaGetDeviceCount(&count), "count CUDA devices");
      !status.ok()) {
    return status;
  }
  if (count == 0) return Status::Unavailable("no CUDA device on this machine");
  return Status::Ok();
}

}  // namespace

Result<const KernelTable*> Kernels() {
  static constexpr KernelTable kTable = {
      .name = "cuda",
      .transform = Transform,
      .workspace_bytes = WorkspaceBytes,
      .inflate = Inflate,
      .deflate = Deflate,
      .deflate_bound = DeflateBound,
      .plane_encode = PlaneEncode,
      .plane_encode_bytes = PlaneEncodeBytes,
      .plane_decode = PlaneDecode,
      .plane_decode_bytes = PlaneDecodeBytes,
      .encode_varints = EncodeVarints,
      .decode_varints = DecodeVarints,
  };
  static const Status kAvailable = Available();
  if (!kAvailable.ok()) return kAvailable;
  return &kTable;
}

}  // namespace caisson::cuda
