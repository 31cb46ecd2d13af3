// SPDX-License-Identifier: Apache-2.0
//
// Memory of a device for the storages of a state that is loaded.
//
// Thread safety: free functions; any thread.
#pragma once

#include <span>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/device/device_runtime.h"

namespace caisson {

// Gives each storage memory of `device` for its region.bytes, which it keeps by
// its owner, and the device's name as its location. Small storages share
// blocks, which are freed with the last of them.
//
// REQUIRES: the runtime outlives the storages.
// Errors: those of DeviceRuntime::Allocate; storages then have some memory.
Status PlaceOn(DeviceRuntime& runtime, Device device,
               std::span<Storage* const> storages);

}  // namespace caisson
