// SPDX-License-Identifier: Apache-2.0
//
// Engine::SaveAsync: a save on a thread of its own.
#include <memory>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/engine/engine_turn.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/state_parts.h"
#include "core/engine/write/state_places.h"

namespace caisson {

Status Engine::Impl::TakeUnobserved() {
  const std::lock_guard hold(last_lock_);
  if (last_ == nullptr || !last_->over()) return Status::Ok();
  return last_->TakeUnobserved();
}

Result<SaveReport> Engine::Impl::WriteAsync(
    const SavePlan& plan, const AsyncOptions& options,
    std::span<const StorageHandle> storages, DeviceOrder order,
    Ticket::Shared& shared) {
  const Stopwatch watch;
  SaveHooks hooks;
  hooks.cancelled = &shared.cancelled();
  hooks.staged = [&] { shared.SetStaged(); };
  const uint64_t total = plan.BytesBound();
  hooks.written = [&](uint64_t bytes) {
    shared.SetWritten(bytes);
    bool stop = false;
    const ProgressCallback& progress = options.save.progress;
    if (progress) progress({bytes, total, watch.seconds(), &stop});
    if (stop) shared.Cancel();
  };
  hooks.devices.order = &order;
  DeviceSnapshot snapshot;
  std::string no_snapshot;
  double snapshot_seconds = 0;
  if (options.snapshot_on_device) {
    auto runtime = devices_.Runtime();
    if (runtime) {
      CAISSON_ASSIGN_OR_RETURN(
          snapshot,
          DeviceSnapshot::Take(**runtime, storages, order, &no_snapshot));
    } else {
      no_snapshot = runtime.error().ToString();
    }
    if (no_snapshot.empty()) {
      hooks.devices.snapshot = &snapshot;
      snapshot_seconds = watch.seconds();
      shared.SetStaged();
    }
  }
  Result<SaveReport> report =
      WriteAll(plan, options.save, Priority::kBatch, hooks, nullptr);
  if (!report) return report;
  report->seconds = watch.seconds();
  if (hooks.devices.snapshot != nullptr) {
    report->staged_seconds = snapshot_seconds;
  }
  report->device.snapshot_bytes = snapshot.bytes();
  report->device.no_snapshot = no_snapshot;
  return report;
}

Result<Ticket> Engine::Impl::SaveAsync(const State& state,
                                       const std::string& path,
                                       const AsyncOptions& options) {
  if (options.save.source != nullptr) {
    return Status::InvalidArgument(
        path + ": an asynchronous save of what lies in a file");
  }
  CAISSON_RETURN_IF_ERROR(
      TakeUnobserved().WithContext("an earlier save failed"));
  auto shared = std::make_shared<Ticket::Shared>();
  if (!TakeTurn(options.when_busy)) {
    const Status busy =
        Status(options.when_busy == WhenBusy::kSkip ? StatusCode::kCancelled
                                                    : StatusCode::kUnavailable,
               path + ": another save is running");
    if (options.when_busy == WhenBusy::kFail) return busy;
    shared->SetOver(busy);
    return Ticket(std::move(shared));
  }
  Turn turn(*this);
  // Once more, as the save that we waited for may have failed.
  CAISSON_RETURN_IF_ERROR(
      TakeUnobserved().WithContext("an earlier save failed"));
  // What the pipeline would find when the caller has gone on.
  CAISSON_ASSIGN_OR_RETURN(StatePlaces places,
                           FindPlaces(state, path, devices_));
  if (!options.snapshot_on_device) places.storages.clear();
  CAISSON_ASSIGN_OR_RETURN(
      SavePlan plan,
      PlanSave(state, path, options.save.profile, options.save.format,
               WishOf(options.save, path, Priority::kBatch)));
  auto kept = std::make_shared<SavePlan>(std::move(plan));
  CAISSON_ASSIGN_OR_RETURN(DeviceOrder noted, NoteStreams(options.save));
  for (const Device device : places.devices) {
    CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime, devices_.Runtime());
    CAISSON_RETURN_IF_ERROR(noted.Include(*runtime, device));
  }
  // A function that is copied holds no value that cannot be.
  auto order = std::make_shared<DeviceOrder>(std::move(noted));
  shared->SetTotal(kept->BytesBound());
  if (options.borrow) shared->SetStaged();
  {
    const std::lock_guard hold(last_lock_);
    last_ = shared;
  }
  if (saver_.joinable()) saver_.join();
  auto turn_kept = std::make_shared<Turn>(std::move(turn));
  auto save = [this, kept, options, shared, turn_kept, order,
               storages = std::move(places.storages)]() mutable {
    const Result<SaveReport> result =
        WriteAsync(*kept, options, storages, std::move(*order), *shared);
    kept.reset();  // and with it the tensors
    storages.clear();
    // First: who sees the result may save again.
    EndTurnSoon();
    shared->SetOver(result);
    if (options.done) options.done(result);
    turn_kept.reset();
  };
  try {
    saver_ = std::thread(std::move(save));
  } catch (const std::system_error& error) {
    return Status::Unavailable(
        std::string("the system gives no thread for a save: ") + error.what());
  }
  return Ticket(std::move(shared));
}

}  // namespace caisson
