// SPDX-License-Identifier: Apache-2.0
//
// Where the tensors of a state are, before a save of it begins.
//
// Thread safety: a free function; any thread.
#pragma once

#include <string>
#include <vector>

#include "caisson/memory.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/engine/device/devices.h"

namespace caisson {

struct StatePlaces {
  std::vector<StorageHandle> storages;  // of all tensors, repeats left in
  std::vector<Device> devices;          // each once, without the host
};

// Errors: kInvalidArgument for a tensor that is not in memory, kUnavailable for
// one on a device that is not there; both name it, and `path`.
Result<StatePlaces> FindPlaces(const State& state, const std::string& path,
                               Devices& devices);

}  // namespace caisson
