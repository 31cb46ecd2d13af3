// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_storages.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/status_macros.h"
#include "core/device/device_handles.h"

namespace caisson {
namespace {

// From this size on a storage has an allocation of its own; what the device
// gives out is as coarse.
constexpr uint64_t kOwnFrom = uint64_t{1} << 20;

constexpr uint64_t kBlockBytes = uint64_t{16} << 20;

// What torch aligns tensors to on a device.
constexpr uint64_t kAlignment = 512;

uint64_t Aligned(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Result<std::shared_ptr<DeviceBuffer>> NewBlock(DeviceRuntime& runtime,
                                               Device device, uint64_t bytes) {
  CAISSON_ASSIGN_OR_RETURN(DeviceBuffer buffer,
                           DeviceBuffer::Allocate(runtime, device, bytes));
  return std::make_shared<DeviceBuffer>(std::move(buffer));
}

}  // namespace

Status PlaceOn(DeviceRuntime& runtime, Device device,
               std::span<Storage* const> storages) {
  uint64_t small = 0;  // bytes of small storages that have no place yet
  for (const Storage* storage : storages) {
    if (storage->region.bytes < kOwnFrom) {
      small += Aligned(storage->region.bytes);
    }
  }
  std::shared_ptr<DeviceBuffer> block;
  uint64_t used = 0;
  for (Storage* const storage : storages) {
    storage->region.device = device;
    // torch too makes a string for each.
    storage->location = Name(device);
    const uint64_t bytes = storage->region.bytes;
    if (bytes == 0) continue;
    if (bytes >= kOwnFrom) {
      CAISSON_ASSIGN_OR_RETURN(auto own, NewBlock(runtime, device, bytes));
      storage->region.data = own->data();
      storage->owner = std::move(own);
      continue;
    }
    if (block == nullptr || block->size() - used < Aligned(bytes)) {
      CAISSON_ASSIGN_OR_RETURN(
          block, NewBlock(runtime, device, std::min(small, kBlockBytes)));
      used = 0;
    }
    storage->region.data = block->data() + used;
    storage->owner = block;
    used += Aligned(bytes);
    small -= Aligned(bytes);
  }
  return Status::Ok();
}

}  // namespace caisson
