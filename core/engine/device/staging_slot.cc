// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/staging_slot.h"

#include <utility>

#include "core/base/status_macros.h"

namespace caisson {

Result<StagingSlot> StagingSlot::Create(DeviceRuntime& runtime, Device device) {
  StagingSlot slot(runtime, device);
  CAISSON_ASSIGN_OR_RETURN(slot.copied_, OwnedEvent::Create(runtime, device));
  CAISSON_ASSIGN_OR_RETURN(slot.summed_, OwnedEvent::Create(runtime, device));
  return slot;
}

StagingSlot::StagingSlot(StagingSlot&& other) noexcept
    : runtime_(other.runtime_),
      device_(other.device_),
      memory_(std::move(other.memory_)),
      copied_(std::move(other.copied_)),
      summed_(std::move(other.summed_)) {}

Status StagingSlot::Reserve(size_t count) {
  const size_t page = PageBytes();
  const size_t bytes = (count * sizeof(uint32_t) + page - 1) / page * page;
  if (bytes <= memory_.size()) return Status::Ok();
  ReleaseCrcs();
  CAISSON_ASSIGN_OR_RETURN(Buffer memory, Buffer::Allocate(bytes));
  CAISSON_RETURN_IF_ERROR(runtime_->Pin(device_, memory.bytes()));
  memory_ = std::move(memory);
  return Status::Ok();
}

std::span<uint32_t> StagingSlot::crcs() const {
  return {reinterpret_cast<uint32_t*>(memory_.data()),
          memory_.size() / sizeof(uint32_t)};
}

void StagingSlot::ReleaseCrcs() {
  if (memory_.empty()) return;
  static_cast<void>(runtime_->Unpin(device_, memory_.data()));
  memory_ = Buffer();
}

}  // namespace caisson
