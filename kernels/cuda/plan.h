// SPDX-License-Identifier: Apache-2.0
//
// A batch as launches: which jobs go which way, and their tiles. Knows the
// addresses of memory, and touches none.
//
// Plain values. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "caisson/status.h"
#include "kernels/cuda/fast_kind.h"
#include "kernels/cuda/launch.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// The way that jobs of a launch go.
enum class Way : uint8_t {
  kFastSums,  // FastKind's words, and their CRC
  kAnySums,   // AnyWords, and their CRC
  kPacks,     // FastKind's packs
  kAny,       // AnyWords
};

struct Launch {
  Way way = Way::kAny;
  LaunchStep step;
  std::vector<LaunchJob> jobs;
  uint32_t tiles = 0;

  bool sums() const { return way == Way::kFastSums || way == Way::kAnySums; }
};

struct LaunchPlan {
  FastKind fast = FastKind::kNone;
  std::vector<Launch> launches;  // in this order, none empty
  std::vector<LaunchDim> dims;   // of the views of all jobs
  Status status;                 // of the first job that cannot be done, which
                                 // ends the plan
};

// Cuts jobs so that `warps` warps have as much to do as each other.
//
// Errors: those of KernelTable::transform that a step has.
Result<LaunchPlan> PlanLaunches(const Step& step, std::span<const Job> jobs,
                                uint32_t warps);

// Device memory that launches of these jobs may need.
size_t PlanBytes(std::span<const Job> jobs);

}  // namespace caisson::cuda
