// SPDX-License-Identifier: Apache-2.0
//
// Engine::Save, and the turns that saves take.
#include <algorithm>
#include <atomic>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/codec/disk_rate.h"
#include "core/engine/engine_impl.h"
#include "core/engine/engine_turn.h"
#include "core/engine/read/parallel_reads.h"
#include "core/engine/read/read_route.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/source/source_parts.h"
#include "core/engine/source/source_storages.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/state_parts.h"
#include "core/engine/write/state_places.h"

namespace caisson {
namespace {

// What a source is read into: small beside a pool, and enough to keep a disk
// busy.
constexpr size_t kSourceWindow = size_t{2} << 20;
constexpr size_t kSourceWindows = 4;

// `status` of a save of `state`, with the tensor that it is about, if any.
Status Naming(const Status& status, const State& state, const std::string& path,
              Devices& devices) {
  if (status.code() == StatusCode::kUnavailable) {
    const auto places = FindPlaces(state, path, devices);
    if (!places) return places.error();
  }
  return Explained(status, state, path);
}

}  // namespace

Engine::Impl::~Impl() {
  TakeTurn(WhenBusy::kWait);
  if (saver_.joinable()) saver_.join();
}

bool Engine::Impl::TakeTurn(WhenBusy when_busy) {
  std::unique_lock hold(turn_lock_);
  turn_free_.wait(hold, [&] {
    return !saving_ || (when_busy != WhenBusy::kWait && !ending_);
  });
  if (saving_) return false;
  saving_ = true;
  return true;
}

void Engine::Impl::EndTurnSoon() {
  const std::lock_guard hold(turn_lock_);
  ending_ = true;
}

void Engine::Impl::EndTurn() {
  // Under the lock: who waits may destroy this object.
  const std::lock_guard hold(turn_lock_);
  saving_ = false;
  ending_ = false;
  turn_free_.notify_all();
}

Result<DeviceOrder> Engine::Impl::NoteStreams(const SaveOptions& options) {
  // Also false of what is not a number.
  if (!(options.device_bytes_per_second >= 0)) {
    return Status::InvalidArgument(
        std::to_string(options.device_bytes_per_second) +
        " bytes per second of a device, expected at least 0");
  }
  if (options.streams.empty()) return DeviceOrder();
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime, devices_.Runtime());
  return DeviceOrder::Note(*runtime, options.streams);
}

CompressionWish Engine::Impl::WishOf(const SaveOptions& options,
                                     const std::string& path,
                                     Priority priority) {
  CompressionWish wish;
  wish.compress = options.compress;
  wish.threads = ThreadsOf(options_, priority);
  wish.disk_rate = [this, path, priority]() -> Result<double> {
    const std::string directory = DirectoryOf(path);
    {
      const std::lock_guard hold(rates_lock_);
      const auto known = disk_rates_.find(directory);
      if (known != disk_rates_.end()) return known->second;
    }
    CAISSON_ASSIGN_OR_RETURN(const Machinery machinery, MachineryFor(priority));
    CAISSON_ASSIGN_OR_RETURN(
        const double rate,
        ProbeDiskRate(directory, machinery.queue, options_.direct));
    const std::lock_guard hold(rates_lock_);
    disk_rates_[directory] = rate;
    return rate;
  };
  return wish;
}

Result<SaveReport> Engine::Impl::Save(const State& state,
                                      const std::string& path,
                                      const SaveOptions& options) {
  if (options.source == nullptr) return Save(state, path, options, nullptr);
  CAISSON_ASSIGN_OR_RETURN(const Machinery shared,
                           MachineryFor(Priority::kNormal));
  // Windows of its own: those of the pool wait for what is read into these.
  CAISSON_ASSIGN_OR_RETURN(
      StagingPool windows,
      StagingPool::Create(std::min(kSourceWindow, options_.window_bytes),
                          kSourceWindows));
  const Machinery machinery{windows, shared.workers, shared.queue, devices_};
  ReadRoutes routes(options_.direct);
  ParallelReads reads(machinery, routes, {}, {});
  SourceStorages source(Reader::Impl::Of(*options.source), reads);
  CAISSON_ASSIGN_OR_RETURN(
      const State planned,
      source.Load(state, ReadsOfPlan(path, options.format, options.compress)));
  return Save(planned, path, options, &source);
}

Result<SaveReport> Engine::Impl::Save(const State& state,
                                      const std::string& path,
                                      const SaveOptions& options,
                                      SourceStorages* source) {
  const Stopwatch watch;
  // What the format refuses is refused before a file exists.
  CAISSON_ASSIGN_OR_RETURN(
      SavePlan plan, PlanSave(state, path, options.profile, options.format,
                              WishOf(options, path, Priority::kNormal)));
  TakeTurn(WhenBusy::kWait);
  const Turn turn(*this);
  CAISSON_ASSIGN_OR_RETURN(DeviceOrder order, NoteStreams(options));
  SaveHooks hooks;
  hooks.devices.order = &order;
  for (PlannedFile& file : plan.files) {
    if (source == nullptr) break;
    CAISSON_ASSIGN_OR_RETURN(file.parts,
                             SourceParts::Create(std::move(file.parts), *source,
                                                 options_.window_bytes));
  }
  const uint64_t total = plan.BytesBound();
  std::atomic<bool> stopped = false;
  if (options.progress) {
    hooks.cancelled = &stopped;
    hooks.written = [&](uint64_t bytes) {
      bool stop = false;
      options.progress({bytes, total, watch.seconds(), &stop});
      if (stop) stopped = true;
    };
  }
  std::string failed;
  Result<SaveReport> report =
      WriteAll(plan, options, Priority::kNormal, hooks, &failed);
  if (!report) return Naming(report.error(), state, failed, devices_);
  report->seconds = watch.seconds();
  return report;
}

}  // namespace caisson
