// SPDX-License-Identifier: Apache-2.0
//
// Engine::Save and SaveAsync: one after the other, through one pipeline.
#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/codec/disk_rate.h"
#include "core/engine/engine_impl.h"
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

// Takes the space now, so that a disk that is too full is found before the
// first byte and not after the last. The file gets its size too: writes within
// it cost a third less CPU time on ext4 (docs/benchmarks.md).
Status Reserve(File& file, uint64_t bytes) {
  const std::optional<uint64_t> free = file.FreeBytes();
  const Result<bool> reserved = file.Allocate(bytes);
  const bool fits = reserved ? *reserved || !free || bytes <= *free : false;
  if (fits) return *reserved ? file.Truncate(bytes) : Status::Ok();
  const std::string have =
      free ? std::to_string(*free) + " bytes are free" : "free bytes unknown";
  if (!reserved) return reserved.error().WithContext(have);
  return Status::Io(file.path() + ": needed " + std::to_string(bytes) +
                    " bytes, " + have);
}

// `status` of a save of `state`, with the tensor that it is about, if any.
Status Naming(const Status& status, const State& state, const std::string& path,
              Devices& devices) {
  if (status.code() == StatusCode::kUnavailable) {
    const auto places = FindPlaces(state, path, devices);
    if (!places) return places.error();
  }
  return Explained(status, state, path);
}

// Adds up the reports of files that were written one after the other.
void Add(const SaveReport& one, SaveReport* all) {
  all->staged_seconds = all->seconds + one.staged_seconds;
  all->seconds += one.seconds;
  all->file_bytes += one.file_bytes;
  all->tensor_bytes += one.tensor_bytes;
  all->stages.copy += one.stages.copy;
  all->stages.transfer += one.stages.transfer;
  all->stages.wait_memory += one.stages.wait_memory;
  all->stages.sync += one.stages.sync;
  all->stages.encode += one.stages.encode;
  all->io = one.io;
  all->device.bytes += one.device.bytes;
  all->device.crc_device_bytes += one.device.crc_device_bytes;
  all->device.crc_host_bytes += one.device.crc_host_bytes;
  if (!one.device.crc_host_reason.empty()) {
    all->device.crc_host_reason = one.device.crc_host_reason;
  }
  all->device.pinned_bytes = one.device.pinned_bytes;
  all->device.pin_seconds = one.device.pin_seconds;
  all->device.pin_problem = one.device.pin_problem;
}

}  // namespace

// Gives the turn back.
class Engine::Impl::Turn {
 public:
  explicit Turn(Impl& impl) : impl_(&impl) {}
  Turn(Turn&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  ~Turn() {
    if (impl_ != nullptr) impl_->EndTurn();
  }

 private:
  Impl* impl_;
};

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

Status Engine::Impl::TakeUnobserved() {
  const std::lock_guard hold(last_lock_);
  if (last_ == nullptr || !last_->over()) return Status::Ok();
  return last_->TakeUnobserved();
}

void Engine::Impl::CloseLater(File file) {
  if (closer_ == nullptr) {
    auto closer = WorkerPool::Create(1, Priority::kBatch);
    if (!closer) return;  // then now
    closer_ = std::move(*closer);
  }
  closer_->Run([held = std::make_shared<File>(std::move(file))]() mutable {
    held.reset();
  });
}

bool Engine::Impl::FinishClosing() {
  const bool some = closer_ != nullptr;
  closer_.reset();
  return some;
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

Result<SaveReport> Engine::Impl::Write(PartStream& parts,
                                       const std::string& path,
                                       const SaveOptions& options,
                                       Priority priority, SaveHooks hooks) {
  const Stopwatch watch;
  SaveReport report;
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery, MachineryFor(priority));
  AtomicFileOptions atomic;
  atomic.sync = options.sync;
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::Create(path, atomic, files_));
  CAISSON_ASSIGN_OR_RETURN(const bool may_be_direct,
                           MayBeDirect(file.directory(), file.file()));
  const uint64_t bound = parts.BytesBound();
  Status reserved = Reserve(file.file(), bound);
  // The checkpoint that the last save replaced may still be in the way.
  if (!reserved.ok() && FinishClosing()) reserved = Reserve(file.file(), bound);
  CAISSON_RETURN_IF_ERROR(reserved);
  const bool direct = may_be_direct && file.file().SetDirect(true);
  report.io = std::string(machinery.queue.name()) +
              (direct ? ", direct" : ", buffered");

  hooks.devices.bytes_per_second = options.device_bytes_per_second;
  hooks.device_report = &report.device;
  const std::function<void()> staged = std::move(hooks.staged);
  hooks.staged = [&] {
    report.staged_seconds = watch.seconds();
    if (staged) staged();
  };
  CAISSON_ASSIGN_OR_RETURN(
      const PartTotals totals,
      SaveParts(parts, file.file(), machinery, hooks, &report.stages));

  const Stopwatch syncing;
  if (!direct && options.sync) {
    // What nobody will read soon shall not push out what they read now.
    CAISSON_RETURN_IF_ERROR(file.file().Sync());
    file.file().DropCache(0, 0);
  }
  CAISSON_RETURN_IF_ERROR(file.Commit());
  if (auto old = file.TakeReplaced()) CloseLater(std::move(*old));
  report.stages.sync = syncing.seconds();
  report.file_bytes = totals.file_bytes;
  report.tensor_bytes = totals.tensor_bytes;
  report.seconds = watch.seconds();
  return report;
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

Result<SaveReport> Engine::Impl::WriteAll(const SavePlan& plan,
                                          const SaveOptions& options,
                                          Priority priority,
                                          const SaveHooks& hooks,
                                          std::string* failed) {
  SaveReport all;
  all.dropped = plan.dropped;
  all.compression = plan.compression;
  for (const PlannedFile& file : plan.files) {
    SaveHooks of_file = hooks;
    of_file.written = [&](uint64_t bytes) {
      if (hooks.written) hooks.written(all.file_bytes + bytes);
    };
    if (&file != &plan.files.back()) of_file.staged = nullptr;
    const Result<SaveReport> one =
        Write(*file.parts, file.path, options, priority, std::move(of_file));
    if (!one) {
      if (failed != nullptr) *failed = file.path;
      return one;
    }
    Add(*one, &all);
  }
  return all;
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
