// SPDX-License-Identifier: Apache-2.0
//
// Decodes chunks of the plane codec on one device: their stored bytes go from a
// staging window into memory of the device by the copy engine, and a kernel
// decodes them from there to their place.
//
// Thread safety: one thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/engine/device/device_lanes.h"
#include "core/engine/device/staging_slot.h"
#include "kernels/kernel_table.h"

namespace caisson {

class DeviceDecoder {
 public:
  // The lanes and the kernels must outlive this.
  DeviceDecoder(DeviceLanes& lanes, const KernelTable& kernels)
      : lanes_(lanes), kernels_(kernels) {}

  // Sees to it that windows of `bytes` can be decoded. Returns why not, such as
  // that the device's memory is full; empty if they can.
  std::string Reserve(size_t bytes);

  // Gives the jobs, whose sources lie in `window`, to the device, in the order
  // of the lanes' kernels; uses the event slot.copied().
  //
  // REQUIRES: Reserve(window.size()) said nothing; faults can be stored into by
  // the device.
  Status Submit(std::span<const std::byte> window,
                std::vector<PlaneDecodeJob> jobs, StagingSlot& slot);

 private:
  // Stored bytes of a window while they are decoded.
  struct Room {
    DeviceBuffer memory;
    OwnedEvent decoded;
  };

  Status Allocate(size_t bytes);

  DeviceLanes& lanes_;
  const KernelTable& kernels_;
  std::array<Room, 2> rooms_;  // one is copied to while another is read
  size_t next_room_ = 0;
  DeviceBuffer scratch_;  // of the kernels; in their order
  std::string no_room_;   // why there is none
};

}  // namespace caisson
