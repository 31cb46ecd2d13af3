// SPDX-License-Identifier: Apache-2.0
//
// One run of measurements: the memory, files and engine that they share, and
// the rounds in which stages and ceilings take turns.
//
// Thread safety: used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/bench.h"
#include "core/base/status_macros.h"
#include "core/engine/measure/measure_disk.h"
#include "core/engine/measure/measure_samples.h"
#include "core/engine/measure/measure_state.h"
#include "core/engine/stopwatch.h"
#include "core/engine/worker_pool.h"
#include "core/io/io_queue.h"

namespace caisson {

class Measurement {
 public:
  // Makes and touches what is needed. Errors: those of MeasureMachine().
  static Result<std::unique_ptr<Measurement>> Create(
      const MeasureOptions& options, bool with_stages);

  Measurement(const Measurement&) = delete;
  Measurement& operator=(const Measurement&) = delete;

  // Runs all rounds.
  Status Run();

  MachineReport Machine() const;

  // REQUIRES: Create() was asked for stages.
  StagesReport Stages() const;

 private:
  Measurement(const MeasureOptions& options, bool with_stages)
      : options_(options), with_stages_(with_stages) {}

  Status Prepare();

  // Each runs one round of what it is named after.
  Status MemoryRound();
  Status DiskRound(bool raw_first);
  Status PlaneRound();
  Status LoadStages(const std::string& path);
  Status AsyncRound(Engine& engine);

  // All rounds with a pool that holds the state.
  Status AsyncRounds();

  // Does `work` and notes how long it took.
  template <class Work>
  Status Time(std::string_view name, const Work& work) {
    Tell(name);
    const Stopwatch watch;
    CAISSON_RETURN_IF_ERROR(work());
    samples_.Add(name, source_->bytes().size(), watch.seconds());
    return Status::Ok();
  }

  // Notes how the last round of `name` was done.
  void Explain(std::string_view name, const SaveReport& report);
  void Explain(std::string_view name, const LoadReport& report);

  // Says what comes next.
  void Tell(std::string_view name);

  uint64_t Total() const;  // bytes that all of it moves

  const MeasureOptions options_;
  const bool with_stages_;
  const Stopwatch since_{};

  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<WorkerPool> async_workers_;
  std::unique_ptr<WorkerPool> one_worker_;
  std::unique_ptr<IoQueue> queue_;
  std::optional<MeasuredState> source_;
  std::optional<MeasuredState> target_;
  std::optional<Engine> engine_;

  bool direct_ = false;
  uint64_t steps_ = 0;  // begun
  Samples samples_;
};

}  // namespace caisson
