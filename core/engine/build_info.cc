// SPDX-License-Identifier: Apache-2.0
#include "caisson/version.h"
#include "core/device/device.h"
#include "kernels/cpu/libraries.h"
#include "kernels/cpu/targets.h"

namespace caisson {

const char* Version() { return CAISSON_VERSION; }

BuildInfo QueryBuild() {
  BuildInfo info;
  info.version = Version();
  for (const cpu::SimdTarget& target : cpu::SimdTargets()) {
    info.simd_targets.push_back(target.name);
  }
  info.simd_target = info.simd_targets.front();
  info.cuda = CudaSummary();
  if (const auto devices = CudaDevices()) {
    for (const DeviceProperties& device : *devices) {
      info.cuda_devices.push_back(
          device.name + ", " + std::to_string(device.memory_bytes >> 30) +
          " GiB, compute capability " + std::to_string(device.major) + "." +
          std::to_string(device.minor));
    }
  }
  info.libraries = cpu::LibraryVersions();
  return info;
}

}  // namespace caisson
