// SPDX-License-Identifier: Apache-2.0
//
// Jobs of a window on their way to a device: one launch for each step that
// occurs, not one for each run of jobs with the same step.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "core/base/status_macros.h"
#include "core/engine/device/device_lanes.h"
#include "core/engine/job_batch.h"
#include "kernels/kernel_table.h"

namespace caisson {

class KernelBatches {
 public:
  explicit KernelBatches(DeviceLanes& lanes) : lanes_(lanes) {}

  // Launches what is full.
  Status Add(const Step& step, const Job& job) {
    auto batch = std::ranges::find_if(batches_, [&](const Batch& known) {
      return SameStep(known.step, step);
    });
    if (batch == batches_.end()) {
      batch = batches_.insert(batch, {step, {}});
    } else if (batch->jobs.size() == DeviceLanes::kBatchJobs) {
      CAISSON_RETURN_IF_ERROR(lanes_.Transform(step, batch->jobs));
      batch->jobs.clear();
    }
    batch->jobs.push_back(job);
    return Status::Ok();
  }

  // Launches the rest.
  Status Finish() {
    for (const Batch& batch : batches_) {
      CAISSON_RETURN_IF_ERROR(lanes_.Transform(batch.step, batch.jobs));
    }
    batches_.clear();
    return Status::Ok();
  }

 private:
  struct Batch {
    Step step;
    std::vector<Job> jobs;
  };

  DeviceLanes& lanes_;
  std::vector<Batch> batches_;
};

}  // namespace caisson
