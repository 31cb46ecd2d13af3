// SPDX-License-Identifier: Apache-2.0
//
// Which devices this machine has. A build without CUDA has the same functions,
// which say so.
//
// Thread safety: every function may run on many threads at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caisson/status.h"

namespace caisson {

struct DeviceProperties {
  std::string name;           // "NVIDIA H200"
  uint64_t memory_bytes = 0;  // in all, not what is free now
  int major = 0;              // compute capability: 9.0 is major 9, minor 0
  int minor = 0;
  int processors = 0;      // streaming multiprocessors
  std::string uuid;        // 32 hex digits, the same in every process
  std::string pci_bus_id;  // "0000:1b:00.0"
};

// Every CUDA device that this process may use, never empty; the index is the
// ordinal of Device::Cuda(). The first call starts the driver, which takes a
// while; no context is made on any device.
//
// Errors: kUnavailable without CUDA in this build, a driver, or a device;
// kDevice if the driver fails.
Result<std::vector<DeviceProperties>> CudaDevices();

// One line: "CUDA 13.0 runtime, driver 13.0, 2 devices", or why there is none.
std::string CudaSummary();

}  // namespace caisson
