// SPDX-License-Identifier: Apache-2.0
//
// Where an engine gets what it needs of devices: their runtime and their
// kernels. One implementation is this machine's; tests have another.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/device/device_runtime.h"
#include "kernels/kernel_table.h"

namespace caisson {

class Devices {
 public:
  virtual ~Devices() = default;

  // What this machine and this build have; lives as long as the process.
  static Devices& OfMachine();

  // Lives as long as this object. Free to call often.
  //
  // Errors: kUnavailable, with the reason; kDevice if the driver fails.
  virtual Result<DeviceRuntime*> Runtime() = 0;

  // The table for `device`, or kUnavailable. Free to call often.
  virtual Result<const KernelTable*> Kernels(Device device) = 0;
};

}  // namespace caisson
