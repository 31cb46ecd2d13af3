// SPDX-License-Identifier: Apache-2.0
//
// Brings windows of a file from staging memory to one device, with their CRCs.
//
// Runs that go as they are and are large are copied by the device's copy
// engine to where they belong, and a kernel reads them there for the CRC. Small
// ones, and those that are swapped or converted, go through one kernel, which
// reads the pinned window itself: over PCIe that is 0.93 of the rate of the
// copy engine on an H100, so that no buffer on the device stands between.
//
// Chunks of the plane codec are decoded by the device (device_decoder).
//
// What a device cannot do here (its memory is full, a window is not pinned) the
// workers of the host do in the window.
//
// One thread submits, another waits for what was submitted, in order.
//
// Thread safety: Bring(), Put() and Fetch() may be called on many threads at
// once; callbacks come from others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "caisson/report.h"
#include "core/engine/device/device_decoder.h"
#include "core/engine/device/device_lanes.h"
#include "core/engine/device/device_order.h"
#include "core/engine/device/pinned_windows.h"
#include "core/engine/read/read_plan.h"
#include "core/engine/worker_pool.h"
#include "kernels/kernel_table.h"

namespace caisson {

class DeviceLoader {
 public:
  // A window in staging memory, which holds the file from `offset` on.
  struct Window {
    std::span<std::byte> image;
    uint64_t offset;
    std::span<ReadPart> parts;  // each with a dst on the device
  };

  // Everything it will write comes after `order`.
  //
  // Errors: those of the runtime; kUnavailable without threads.
  static Result<std::unique_ptr<DeviceLoader>> Create(
      const DeviceSetting& setting, Device device, DeviceOrder& order);

  // Waits until what was given to it is done, on the device too.
  ~DeviceLoader();

  DeviceLoader(const DeviceLoader&) = delete;
  DeviceLoader& operator=(const DeviceLoader&) = delete;

  DeviceRuntime& runtime() const { return lanes_.runtime(); }

  // Says that `image` will be brought, so that it may be pinned by then.
  void Want(const std::byte* image);

  // Brings the parts to their places, sets their CRCs, and then calls `done`.
  // By then, nothing works on the window. Neither may go before. The image is
  // not what it was.
  void Bring(const Window& window, std::function<void(Status)> done);

  // Copies from any memory of the host, and waits for that.
  Status Put(std::byte* dst, std::span<const std::byte> src) {
    return lanes_.CopyNow(dst, src.data(), src.size());
  }

  // Copies to any memory of the host, after what was put; waits for that.
  Status Fetch(const std::byte* src, std::span<std::byte> dst) {
    return lanes_.CopyNow(dst.data(), src, dst.size());
  }

  // Notes what the host did elsewhere for this device, and why.
  void NoteByHost(uint64_t bytes, const std::string& why);

  // Adds what the host had to do so far, and why.
  void AddTo(DeviceLoadReport& report) const;

 private:
  struct Task;

  DeviceLoader(const DeviceSetting& setting, Device device)
      : setting_(setting),
        lanes_(setting.runtime, setting.kernels, device),
        decoder_(lanes_, setting.kernels) {}

  void Submit(const std::shared_ptr<Task>& task);
  Status SubmitToDevice(Task& task);
  Status Decode(Task& task);
  Status Transform(Task& task);
  // Why the device cannot do all of the task; empty if it can. Gives it a slot.
  std::string Obstacle(Task& task);
  void Await(const std::shared_ptr<Task>& task);
  Status BringByHost(const Window& window);
  Status DecodeByHost(ReadPart& part, const std::byte* image);
  void Finish(Task& task, const Status& status);

  const DeviceSetting setting_;
  DeviceLanes lanes_;
  DeviceDecoder decoder_;
  std::string no_crcs_;  // why no slot has room for CRCs; of the submitter

  mutable std::mutex lock_;
  DeviceLoadReport report_;  // guarded by lock_

  std::unique_ptr<WorkerPool> waiter_;
  std::unique_ptr<WorkerPool> submitter_;  // ends first: it feeds the other
};

}  // namespace caisson
