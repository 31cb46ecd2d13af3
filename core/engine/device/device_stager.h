// SPDX-License-Identifier: Apache-2.0
//
// Brings bytes of one device into windows of a save, with their CRCs.
//
// Runs that go as they are and are large are copied by the device's copy
// engine into their place, while a kernel reads them where they lie for the
// CRC. Small ones and swapped ones go through one kernel, which stores into
// the pinned window itself: over PCIe that is 0.95 of the rate of the copy
// engine on an H100, so that no buffer on the device stands between.
//
// What a device cannot do here (its memory is full, a window is not pinned) the
// workers of the host do over the window, and the report says why.
//
// One thread submits, another waits for what was submitted, in order.
//
// Thread safety: one thread; callbacks come from others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "caisson/report.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/device_lanes.h"
#include "core/engine/device/device_order.h"
#include "core/engine/device/pinned_windows.h"
#include "core/engine/device/rate_limit.h"
#include "core/engine/device/staging_slot.h"
#include "core/engine/worker_pool.h"
#include "core/engine/write/window_image.h"
#include "kernels/kernel_table.h"

namespace caisson {

class DeviceStager {
 public:
  struct Setting : DeviceSetting {
    double bytes_per_second;  // 0: no limit
    // Once true, what was not begun is not done. Asked on any thread.
    std::function<bool()> stopped;
  };

  // Everything it will read comes after `order`.
  //
  // Errors: those of the runtime; kUnavailable without threads.
  static Result<std::unique_ptr<DeviceStager>> Create(const Setting& setting,
                                                      Device device,
                                                      DeviceOrder& order);

  // Waits until what was given to it is done, on the device too.
  ~DeviceStager();

  DeviceStager(const DeviceStager&) = delete;
  DeviceStager& operator=(const DeviceStager&) = delete;

  // Fills `window` with `fills`, and then calls `done` with fills.status set.
  // By then, nothing works on the window. Neither may go before.
  void Stage(std::span<std::byte> window, PlaceFills& fills,
             std::function<void()> done);

  // Copies bytes to any memory of the host; waits for them.
  Status Fetch(const std::byte* src, std::span<std::byte> dst) {
    limit_.Take(dst.size(), setting_.stopped);
    return lanes_.CopyNow(dst.data(), src, dst.size());
  }

  // Adds what was done so far.
  void AddTo(DeviceSaveReport& report) const;

 private:
  struct Task;

  DeviceStager(const Setting& setting, Device device)
      : setting_(setting),
        lanes_(setting.runtime, setting.kernels, device),
        limit_(setting.bytes_per_second) {}

  Status Open(DeviceOrder& order);
  void Submit(Task& task);
  Status SubmitToDevice(Task& task);
  Status SubmitCopies(Task& task);
  Status StartKernels(Task& task);
  Status Copy(std::byte* dst, const Fill& fill);
  void Await(const std::shared_ptr<Task>& task);
  void Finish(Task& task);
  // Why the device cannot do all of the task; empty if it can. Gives it a
  // slot.
  std::string Obstacle(Task& task);

  const Setting setting_;
  DeviceLanes lanes_;
  RateLimit limit_;
  std::string no_crcs_;  // why no slot has room for CRCs; of the submitter

  mutable std::mutex lock_;
  DeviceSaveReport report_;  // guarded by lock_

  std::unique_ptr<WorkerPool> waiter_;
  std::unique_ptr<WorkerPool> submitter_;  // ends first: it feeds the other
};

}  // namespace caisson
