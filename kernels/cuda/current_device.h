// SPDX-License-Identifier: Apache-2.0
//
// Which device a call works on, and making it current. Host only.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "core/device/cuda_native.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// Makes a device current for a scope.
class CurrentDevice {
 public:
  CurrentDevice() = default;
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  Status Set(int ordinal) {
    if (Status status = FromCuda(cudaGetDevice(&before_), "ask for the device");
        !status.ok()) {
      return status;
    }
    if (before_ == ordinal) return Status::Ok();
    changed_ = true;
    return FromCuda(cudaSetDevice(ordinal),
                    "set the device to cuda:" + std::to_string(ordinal));
  }
  ~CurrentDevice() {
    if (changed_) static_cast<void>(cudaSetDevice(before_));
  }

 private:
  int before_ = 0;
  bool changed_ = false;
};

inline Result<int> DeviceOf(const Workspace& workspace) {
  cudaPointerAttributes attributes;
  if (Status status =
          FromCuda(cudaPointerGetAttributes(&attributes, workspace.data),
                   "ask where the workspace is");
      !status.ok()) {
    return status;
  }
  if (attributes.type != cudaMemoryTypeDevice) {
    return Status::InvalidArgument("the workspace is not memory of a device");
  }
  return attributes.device;
}

}  // namespace caisson::cuda
