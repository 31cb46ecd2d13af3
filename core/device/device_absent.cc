// SPDX-License-Identifier: Apache-2.0
//
// The build without CUDA.
#include "core/device/device.h"

namespace caisson {
namespace {

constexpr char kReason[] = "built without CUDA";

}  // namespace

Result<std::vector<DeviceProperties>> CudaDevices() {
  return Status::Unavailable(kReason);
}

std::string CudaSummary() { return kReason; }

}  // namespace caisson
