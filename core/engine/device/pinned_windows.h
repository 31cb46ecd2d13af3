// SPDX-License-Identifier: Apache-2.0
//
// The staging memory of an engine, as far as devices may reach it: segments of
// it are pinned in the background when a window of them is first wanted. Until
// that is done, and where it fails, copies to and from them are slower, and
// kernels cannot store into them.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/device/device_runtime.h"
#include "core/engine/worker_pool.h"

namespace caisson {

class PinnedWindows {
 public:
  // How much is pinned by one call, at least a window.
  static constexpr size_t kSegmentBytes = size_t{32} << 20;

  struct Report {
    uint64_t bytes = 0;   // pinned now
    double seconds = 0;   // that it took
    std::string problem;  // of the segment that could not be; empty: none
  };

  // Pins nothing yet. `memory` is windows of `window_bytes`, whole pages each.
  // REQUIRES: it outlives this; window_bytes divides memory.size().
  PinnedWindows(std::span<std::byte> memory, size_t window_bytes,
                size_t segment_bytes = kSegmentBytes);

  // Waits for pinning that goes on, and unpins. REQUIRES: no device works on
  // the memory.
  ~PinnedWindows();
  PinnedWindows(const PinnedWindows&) = delete;
  PinnedWindows& operator=(const PinnedWindows&) = delete;

  // Whether the window that begins at `window` is pinned. If nobody has asked
  // for its segment, pinning it begins. REQUIRES: one runtime for all calls,
  // which outlives this.
  bool Want(DeviceRuntime& runtime, Device device, const std::byte* window);

  // The same, after waiting until that is known.
  bool Await(DeviceRuntime& runtime, Device device, const std::byte* window);

  Report report() const;

 private:
  enum class State : uint8_t { kUnknown, kBegun, kPinned, kFailed };

  std::span<std::byte> Bytes(size_t segment) const;
  // Of the segment of `window`. REQUIRES: lock_ is held.
  State WantLocked(DeviceRuntime& runtime, Device device, size_t segment);
  void Pin(Device device, size_t segment);
  size_t SegmentOf(const std::byte* window) const;

  const std::span<std::byte> memory_;
  const size_t segment_bytes_;  // whole windows
  mutable std::mutex lock_;
  std::condition_variable known_;
  std::vector<State> segments_;         // guarded by lock_
  Report report_;                       // guarded by lock_
  DeviceRuntime* runtime_ = nullptr;    // guarded by lock_
  Device device_;                       // that pinned; guarded by lock_
  std::unique_ptr<WorkerPool> worker_;  // guarded by lock_
};

}  // namespace caisson
