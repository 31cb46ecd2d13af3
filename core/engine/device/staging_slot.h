// SPDX-License-Identifier: Apache-2.0
//
// What one window needs while a device fills it: events that tell when, and a
// place for its CRCs that kernels can store into.
//
// Thread safety: a value of one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/pinned_pages.h"

namespace caisson {

class StagingSlot {
 public:
  static Result<StagingSlot> Create(DeviceRuntime& runtime, Device device);

  // Its end REQUIRES that both events have happened.
  StagingSlot(StagingSlot&&) noexcept = default;
  StagingSlot& operator=(StagingSlot&&) = delete;

  // Sees to it that crcs() has room for `count`. REQUIRES: as the end.
  // Errors: those of PinnedPages::Allocate; it is empty then.
  Status Reserve(size_t count);

  std::span<uint32_t> crcs() const;  // pinned

  const DeviceEvent& copied() const { return copied_.get(); }
  const DeviceEvent& summed() const { return summed_.get(); }

 private:
  StagingSlot(DeviceRuntime& runtime, Device device)
      : runtime_(&runtime), device_(device) {}

  DeviceRuntime* runtime_;
  Device device_;
  PinnedPages memory_;
  OwnedEvent copied_;
  OwnedEvent summed_;
};

}  // namespace caisson
