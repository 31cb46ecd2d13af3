// SPDX-License-Identifier: Apache-2.0
//
// The build without CUDA.
#include "core/device/device.h"
#include "core/device/device_runtime.h"

namespace caisson {
namespace {

constexpr char kReason[] = "built without CUDA";

}  // namespace

Result<std::vector<DeviceProperties>> CudaDevices() {
  return Status::Unavailable(kReason);
}

Result<DeviceRuntime*> CudaRuntime() { return Status::Unavailable(kReason); }

std::string CudaSummary() { return kReason; }

}  // namespace caisson
