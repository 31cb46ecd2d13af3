// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_lanes.h"

#include <utility>

#include "core/base/status_macros.h"

namespace caisson {

Status DeviceLanes::Open(DeviceOrder& order) {
  CAISSON_ASSIGN_OR_RETURN(
      copies_, OwnedStream::Create(runtime_, device_, StreamPriority::kLowest));
  CAISSON_ASSIGN_OR_RETURN(
      work_, OwnedStream::Create(runtime_, device_, StreamPriority::kLowest));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime_, copies_.get()));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime_, work_.get()));
  const std::vector<Job> jobs(kBatchJobs);
  auto scratch = DeviceBuffer::Allocate(runtime_, device_,
                                        kernels_.workspace_bytes({}, jobs));
  if (scratch) {
    scratch_ = std::move(*scratch);
  } else if (scratch.error().code() == StatusCode::kOutOfMemory) {
    no_scratch_ = scratch.error().ToString();
  } else {
    return scratch.error();
  }
  return Status::Ok();
}

Status DeviceLanes::Transform(const Step& step, std::span<const Job> jobs) {
  return kernels_.transform(step, jobs, {scratch_.data(), scratch_.size()},
                            work_.get().stream);
}

Status DeviceLanes::CopyNow(std::byte* dst, const std::byte* src,
                            size_t bytes) {
  CAISSON_RETURN_IF_ERROR(runtime_.Copy(dst, src, bytes, copies_.get()));
  return runtime_.Synchronize(copies_.get());
}

void DeviceLanes::Quiesce() {
  static_cast<void>(runtime_.Synchronize(copies_.get()));
  static_cast<void>(runtime_.Synchronize(work_.get()));
}

Result<StagingSlot> DeviceLanes::TakeSlot() {
  {
    const std::lock_guard hold(lock_);
    if (!slots_.empty()) {
      StagingSlot slot = std::move(slots_.back());
      slots_.pop_back();
      return slot;
    }
  }
  return StagingSlot::Create(runtime_, device_);
}

void DeviceLanes::ReturnSlot(std::optional<StagingSlot>& slot) {
  if (!slot) return;
  const std::lock_guard hold(lock_);
  slots_.push_back(std::move(*slot));
  slot.reset();
}

}  // namespace caisson
