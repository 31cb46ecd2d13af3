// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/state_places.h"

#include <algorithm>

#include "core/base/status_macros.h"
#include "core/engine/device/device_stagers.h"
#include "core/engine/write/state_parts.h"

namespace caisson {

Result<StatePlaces> FindPlaces(const State& state, const std::string& path,
                               Devices& devices) {
  CAISSON_ASSIGN_OR_RETURN(const auto tensors, state.Tensors());
  StatePlaces places;
  places.storages.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) {
    const StorageHandle& storage = tensor.view->storage;
    if (!storage->resident()) {
      return Explained(Status::InvalidArgument("a tensor without memory"),
                       state, path);
    }
    places.storages.push_back(storage);
    const Device device = storage->region.device;
    if (device.is_cpu() || storage->region.bytes == 0 ||
        std::ranges::count(places.devices, device) > 0) {
      continue;
    }
    const Status found = CheckDevice(devices, device);
    if (!found.ok()) {
      return found.WithContext(path + ": tensor '" + Join(tensor.path) + "'");
    }
    places.devices.push_back(device);
  }
  return places;
}

}  // namespace caisson
