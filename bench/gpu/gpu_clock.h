// SPDX-License-Identifier: Apache-2.0
//
// Times work on a device by its events.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "caisson/status.h"
#include "core/base/status_macros.h"
#include "core/device/device_handles.h"
#include "core/device/device_runtime.h"

namespace caisson::bench {

using Work = std::function<Status()>;  // puts work into the clock's stream

// Seconds of one call, of several.
struct Times {
  double median = 0;
  double least = 0;
  double most = 0;
};

class GpuClock {
 public:
  static Result<GpuClock> Create(DeviceRuntime& runtime, Device device) {
    GpuClock clock(runtime);
    CAISSON_ASSIGN_OR_RETURN(clock.stream_,
                             OwnedStream::Create(runtime, device));
    CAISSON_ASSIGN_OR_RETURN(
        clock.begin_, OwnedEvent::Create(runtime, device, EventUse::kTiming));
    CAISSON_ASSIGN_OR_RETURN(
        clock.end_, OwnedEvent::Create(runtime, device, EventUse::kTiming));
    return clock;
  }

  const DeviceStream& stream() const { return stream_.get(); }

  // Runs every contestant `rounds` times, one after the other in each round,
  // after once to warm up.
  Result<std::vector<Times>> Run(const std::vector<Work>& contestants,
                                 int rounds) {
    std::vector<std::vector<double>> seconds(contestants.size());
    for (int round = -1; round < rounds; ++round) {
      for (size_t i = 0; i < contestants.size(); ++i) {
        CAISSON_ASSIGN_OR_RETURN(const double took, Once(contestants[i]));
        if (round >= 0) seconds[i].push_back(took);
      }
    }
    std::vector<Times> times;
    for (std::vector<double>& all : seconds) {
      std::ranges::sort(all);
      times.push_back({all[all.size() / 2], all.front(), all.back()});
    }
    return times;
  }

 private:
  explicit GpuClock(DeviceRuntime& runtime) : runtime_(&runtime) {}

  Result<double> Once(const Work& work) {
    CAISSON_RETURN_IF_ERROR(runtime_->Record(begin_.get(), stream()));
    CAISSON_RETURN_IF_ERROR(work());
    CAISSON_RETURN_IF_ERROR(runtime_->Record(end_.get(), stream()));
    CAISSON_RETURN_IF_ERROR(runtime_->Synchronize(end_.get()));
    CAISSON_ASSIGN_OR_RETURN(
        const double milliseconds,
        runtime_->MillisecondsBetween(begin_.get(), end_.get()));
    return milliseconds / 1e3;
  }

  DeviceRuntime* runtime_;
  OwnedStream stream_;
  OwnedEvent begin_;
  OwnedEvent end_;
};

}  // namespace caisson::bench
