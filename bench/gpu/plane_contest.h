// SPDX-License-Identifier: Apache-2.0
//
// The plane codec on a device: chunks of a set there, as work for a clock, and
// whether they became what the host makes of them.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <vector>

#include "bench/gpu/gpu_clock.h"
#include "bench/plane_sets.h"
#include "caisson/status.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/pinned_pages.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {

class PlaneContest {
 public:
  // Everything must outlive it.
  PlaneContest(DeviceRuntime& runtime, const KernelTable& kernels,
               const GpuClock& clock)
      : runtime_(runtime), kernels_(kernels), clock_(clock) {}

  PlaneContest(const PlaneContest&) = delete;
  PlaneContest& operator=(const PlaneContest&) = delete;

  // At least `bytes` of a set, on the clock's device; whole chunks.
  Status Prepare(const PlaneSet& set, size_t bytes);

  size_t bytes() const { return src_.size(); }
  Status Encode();
  Status Decode();  // what Encode() made

  // Whether chunks and elements are those of the host. After both.
  Result<bool> IsRight();

 private:
  DeviceRuntime& runtime_;
  const KernelTable& kernels_;
  const GpuClock& clock_;
  const std::byte* set_ = nullptr;  // the same on the host
  DeviceBuffer src_;
  DeviceBuffer coded_;
  DeviceBuffer back_;
  DeviceBuffer scratch_;
  PinnedPages facts_;  // the chunks, then the faults
  std::vector<PlaneEncodeJob> encode_;
  std::vector<PlaneDecodeJob> decode_;
};

}  // namespace caisson::bench
