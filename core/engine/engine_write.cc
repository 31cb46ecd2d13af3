// SPDX-License-Identifier: Apache-2.0
//
// The files of a save, from the space that they take to their commit.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/state_parts.h"

namespace caisson {
namespace {

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
  all->device.encoded_bytes += one.device.encoded_bytes;
  if (!one.device.crc_host_reason.empty()) {
    all->device.crc_host_reason = one.device.crc_host_reason;
  }
  all->device.pinned_bytes = one.device.pinned_bytes;
  all->device.pin_seconds = one.device.pin_seconds;
  all->device.pin_problem = one.device.pin_problem;
}

}  // namespace

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

}  // namespace caisson
