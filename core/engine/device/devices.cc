// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/devices.h"

namespace caisson {
namespace {

class MachineDevices : public Devices {
 public:
  Result<DeviceRuntime*> Runtime() override { return CudaRuntime(); }
  Result<const KernelTable*> Kernels(Device device) override {
    return KernelsFor(device);
  }
};

}  // namespace

Devices& Devices::OfMachine() {
  static MachineDevices devices;
  return devices;
}

}  // namespace caisson
