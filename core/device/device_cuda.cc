// SPDX-License-Identifier: Apache-2.0
//
// The build with CUDA. The runtime is linked statically and loads the driver
// by itself, so a machine without one answers with an error here instead of
// failing to start the program.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "core/base/status_macros.h"
#include "core/device/cuda_native.h"
#include "core/device/device.h"

namespace caisson {
namespace {

// 13020 is 13.2.
std::string VersionText(int version) {
  return std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

std::string HexDigits(const cudaUUID_t& uuid) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : uuid.bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string PciBusId(const cudaDeviceProp& properties) {
  char text[32];
  std::snprintf(text, sizeof(text), "%04x:%02x:%02x.0", properties.pciDomainID,
                properties.pciBusID, properties.pciDeviceID);
  return text;
}

// 0 where no driver is installed.
Result<int> DriverVersion() {
  int version = 0;
  CAISSON_RETURN_IF_ERROR(cuda::FromCuda(cudaDriverGetVersion(&version),
                                         "ask for the CUDA driver's version"));
  return version;
}

Result<int> CountDevices() {
  int count = 0;
  CAISSON_RETURN_IF_ERROR(
      cuda::FromCuda(cudaGetDeviceCount(&count), "count CUDA devices"));
  if (count == 0) return Status::Unavailable("no CUDA device on this machine");
  return count;
}

}  // namespace

Result<std::vector<DeviceProperties>> CudaDevices() {
  CAISSON_ASSIGN_OR_RETURN(const int driver, DriverVersion());
  if (driver == 0) {
    return Status::Unavailable("no CUDA driver on this machine");
  }
  CAISSON_ASSIGN_OR_RETURN(const int count, CountDevices());
  std::vector<DeviceProperties> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties;
    CAISSON_RETURN_IF_ERROR(cuda::FromCuda(
        cudaGetDeviceProperties(&properties, ordinal),
        "ask for the properties of cuda:" + std::to_string(ordinal)));
    devices.push_back({properties.name, properties.totalGlobalMem,
                       properties.major, properties.minor,
                       properties.multiProcessorCount,
                       HexDigits(properties.uuid), PciBusId(properties)});
  }
  return devices;
}

std::string CudaSummary() {
  std::string summary = "CUDA " + VersionText(CUDART_VERSION) + " runtime, ";
  const auto devices = CudaDevices();
  if (!devices.has_value()) {
    return summary.append(devices.error().message());
  }
  const auto driver = DriverVersion();
  if (!driver.has_value()) return summary.append(driver.error().message());
  summary.append("driver ").append(VersionText(*driver)).append(", ");
  summary.append(std::to_string(devices->size()));
  return summary.append(devices->size() == 1 ? " device" : " devices");
}

}  // namespace caisson
