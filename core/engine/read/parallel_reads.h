// SPDX-License-Identifier: Apache-2.0
//
// Works off read tasks with many reads in flight: large ones in shares, small
// ones many at once. Through the page cache, each share is read straight into
// its place and its CRC taken while it lies in L2. Past it, windows are read
// into staging memory and brought to their places by one pass that takes the
// CRC. What goes to devices is worked off by DeviceReads.
//
// Thread safety: one Run() at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>

#include "caisson/report.h"
#include "core/engine/machinery.h"
#include "core/engine/read/device_reads.h"
#include "core/engine/read/read_plan.h"
#include "core/engine/read/read_route.h"
#include "core/engine/read/read_task.h"

namespace caisson {

class ParallelReads final : public ReadExecutor {
 public:
  // `routes` outlives this. `progress` is called on the calling thread, with
  // bytes that are done and bytes in all, of the storages that were asked for;
  // neither goes back from one Run() to the next; false from it ends a Run() of
  // the host with kCancelled. `streams`: as of DeviceReads.
  ParallelReads(const Machinery& machinery, ReadRoutes& routes,
                std::span<const DeviceStream> streams,
                std::function<bool(uint64_t, uint64_t)> progress)
      : machinery_(machinery),
        routes_(routes),
        progress_(std::move(progress)),
        devices_(machinery_, streams) {}

  ParallelReads(const ParallelReads&) = delete;
  ParallelReads& operator=(const ParallelReads&) = delete;

  void Expect(uint64_t bytes) override {
    total_ = std::max(total_, done_ + bytes);
  }
  Status Run(const ByteSource& source, std::span<ReadTask> tasks,
             OnError on_error) override;
  Result<DeviceLoader*> LoaderOf(Device device) override {
    return devices_.LoaderOf(device);
  }

  // What all runs did; its times but not its `seconds`, `threads` and `io`.
  LoadReport report() const {
    LoadReport report = report_;
    devices_.AddTo(report.device);
    return report;
  }

  // The route by which most bytes were read; null if none was.
  const ReadRoute* main_route() const;

 private:
  Status RunOnHost(const ByteSource& source, std::span<ReadTask> tasks,
                   OnError on_error);
  Status RunOnDevices(const ByteSource& source, std::span<ReadTask> tasks,
                      OnError on_error);

  const Machinery machinery_;
  ReadRoutes& routes_;
  const std::function<bool(uint64_t, uint64_t)> progress_;
  uint64_t done_ = 0;   // bytes, of all runs that are over
  uint64_t total_ = 0;  // of all that were begun or are expected
  LoadReport report_;
  std::map<const ReadRoute*, uint64_t> route_bytes_;
  DeviceReads devices_;
};

}  // namespace caisson
