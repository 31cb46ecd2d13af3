// SPDX-License-Identifier: Apache-2.0
//
// MeasureMachine and MeasureStages: what the measurements mean.
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "caisson/bench.h"
#include "core/engine/engine_impl.h"
#include "core/engine/measure/measurement.h"

namespace caisson {
namespace {

constexpr std::array<std::string_view, 7> kCeilings = {
    "memcpy",       "memcpy_one_thread",
    "memcpy_async", "memory_read_one_thread",
    "first_touch",  "raw_write",
    "raw_read"};

struct Stage {
  std::string_view name;
  std::vector<std::string_view> ceilings;  // none of which it can beat
};

std::vector<Stage> AllStages() {
  return {
      {"save", {"raw_write", "memcpy"}},
      {"load", {"raw_read", "memcpy"}},
      // first_touch is no ceiling: what this process gives back and takes
      // again may come faster than what it never had.
      {"load_fresh", {"raw_read", "memcpy"}},
      {"verify", {"raw_read"}},
      // Of the bytes before they are encoded: they may beat the disk.
      {"save_plane", {"raw_write"}},
      {"load_plane", {"raw_read"}},
      {"crc32", {"memory_read_one_thread"}},
      {"copy_crc32", {"memcpy_one_thread"}},
      {"save_async_staged", {"memcpy_async"}},
  };
}

}  // namespace

MachineReport Measurement::Machine() const {
  MachineReport report;
  report.io =
      std::string(queue_->name()) + (direct_ ? ", direct" : ", buffered");
  report.threads = workers_->threads();
  report.async_threads = async_workers_->threads();
  for (const std::string_view name : kCeilings) {
    report.ceilings.push_back({std::string(name), samples_.Rate(name)});
  }
  return report;
}

StagesReport Measurement::Stages() const {
  StagesReport report;
  report.machine = Machine();
  for (const Stage& stage : AllStages()) {
    report.stages.push_back(samples_.Stage(stage.name, stage.ceilings));
  }
  return report;
}

Result<MachineReport> MeasureMachine(const MeasureOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(const auto run,
                           Measurement::Create(options, /*with_stages=*/false));
  CAISSON_RETURN_IF_ERROR(run->Run());
  return run->Machine();
}

Result<StagesReport> MeasureStages(const MeasureOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(const auto run,
                           Measurement::Create(options, /*with_stages=*/true));
  CAISSON_RETURN_IF_ERROR(run->Run());
  return run->Stages();
}

}  // namespace caisson
