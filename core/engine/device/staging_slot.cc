// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/staging_slot.h"

#include "core/base/status_macros.h"

namespace caisson {

Result<StagingSlot> StagingSlot::Create(DeviceRuntime& runtime, Device device) {
  StagingSlot slot(runtime, device);
  CAISSON_ASSIGN_OR_RETURN(slot.copied_, OwnedEvent::Create(runtime, device));
  CAISSON_ASSIGN_OR_RETURN(slot.summed_, OwnedEvent::Create(runtime, device));
  return slot;
}

Status StagingSlot::Reserve(size_t count) {
  const size_t bytes = count * sizeof(uint32_t);
  if (bytes <= memory_.size()) return Status::Ok();
  memory_.Release();
  CAISSON_ASSIGN_OR_RETURN(memory_,
                           PinnedPages::Allocate(*runtime_, device_, bytes));
  return Status::Ok();
}

std::span<uint32_t> StagingSlot::crcs() const {
  return {reinterpret_cast<uint32_t*>(memory_.data()),
          memory_.size() / sizeof(uint32_t)};
}

}  // namespace caisson
