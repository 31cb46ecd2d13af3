// SPDX-License-Identifier: Apache-2.0
//
// The streams on which bytes cross between one device and the host: one for
// copies, one for kernels, and what those need.
//
// Thread safety: TakeSlot(), ReturnSlot() and CopyNow() may be called on many
// threads at once; the rest on one that submits.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/device_order.h"
#include "core/engine/device/pinned_windows.h"
#include "core/engine/device/staging_slot.h"
#include "core/engine/worker_pool.h"
#include "kernels/kernel_table.h"

namespace caisson {

// What moves bytes between one device and the host, whichever way. REQUIRES:
// all of it outlives who works with it.
struct DeviceSetting {
  DeviceRuntime& runtime;
  const KernelTable& kernels;       // of the device
  const KernelTable& host_kernels;  // of the host
  WorkerPool& workers;              // for what the device cannot do
  PinnedWindows* pinned;            // null: no window is pinned
};

class DeviceLanes {
 public:
  // Jobs of one launch at the most, which bounds the scratch.
  static constexpr size_t kBatchJobs = 1024;

  // Runs of at least this size are copied by the copy engine: for smaller ones
  // the start of a copy takes longer than its bytes.
  static constexpr size_t kCopiedBytes = size_t{64} << 10;

  // REQUIRES: both outlive the lanes.
  DeviceLanes(DeviceRuntime& runtime, const KernelTable& kernels, Device device)
      : runtime_(runtime), kernels_(kernels), device_(device) {}

  // Everything that the streams are given comes after `order`.
  //
  // Errors: those of the runtime, but that no memory is left for scratch.
  Status Open(DeviceOrder& order);

  DeviceRuntime& runtime() const { return runtime_; }
  Device device() const { return device_; }
  const DeviceStream& copies() const { return copies_.get(); }
  const DeviceStream& kernels() const { return work_.get(); }

  // Why no kernel can run: the device's memory is full. Else empty.
  const std::string& no_scratch() const { return no_scratch_; }

  // In the order of kernels(). REQUIRES: no_scratch() is empty, at most
  // kBatchJobs.
  Status Transform(const Step& step, std::span<const Job> jobs);

  // Copies to or from any memory of the host, in the order of copies(), and
  // waits for that.
  Status CopyNow(std::byte* dst, const std::byte* src, size_t bytes);

  // Waits until the device does nothing of ours.
  void Quiesce();

  Result<StagingSlot> TakeSlot();
  // Leaves `slot` empty. REQUIRES: its events have happened.
  void ReturnSlot(std::optional<StagingSlot>& slot);

 private:
  DeviceRuntime& runtime_;
  const KernelTable& kernels_;
  const Device device_;
  OwnedStream copies_;
  OwnedStream work_;
  DeviceBuffer scratch_;  // of the kernels; in the order of work_
  std::string no_scratch_;
  std::mutex lock_;
  std::vector<StagingSlot> slots_;  // not in use; guarded by lock_
};

}  // namespace caisson
