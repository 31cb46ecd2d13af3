// SPDX-License-Identifier: Apache-2.0
//
// What an Engine holds.
//
// Thread safety: as Engine.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "caisson/engine.h"
#include "core/base/byte_source.h"
#include "core/device/staging_pool.h"
#include "core/engine/codec/compression_choice.h"
#include "core/engine/device/devices.h"
#include "core/engine/machinery.h"
#include "core/engine/read/read_task.h"
#include "core/engine/source/source_storages.h"
#include "core/engine/ticket.h"
#include "core/engine/worker_pool.h"
#include "core/engine/write/save_pipeline.h"
#include "core/engine/write/state_parts.h"
#include "core/formats/format.h"
#include "core/io/atomic_file.h"
#include "core/io/file_system.h"
#include "core/io/io_queue.h"

namespace caisson {

// The queue of an engine with these options.
Result<std::unique_ptr<IoQueue>> MakeQueue(const EngineOptions& options);

// How many threads copy and check bytes: kBatch, of an asynchronous save.
size_t ThreadsOf(const EngineOptions& options, Priority priority);

class Engine::Impl {
 public:
  Impl(const EngineOptions& options, FileSystem& files, Devices& devices)
      : options_(options), files_(files), devices_(devices) {}

  // Waits for a save that is running.
  ~Impl();

  // `files` is what saves write through, `devices` where tensors may be.
  // REQUIRES: both outlive the Engine.
  static Result<Engine> Make(const EngineOptions& options, FileSystem& files,
                             Devices& devices = Devices::OfMachine());

  Result<SaveReport> Save(const State& state, const std::string& path,
                          const SaveOptions& options);
  Result<Ticket> SaveAsync(const State& state, const std::string& path,
                           const AsyncOptions& options);

  // Calls `function` with what reads the payload of `source`, a ReadExecutor.
  // What is written to devices comes after `streams`.
  template <class Function>
  auto WithReads(const ByteSource& source, const ProgressCallback& progress,
                 LoadReport* report, std::span<const DeviceStream> streams,
                 const Function& function)
      -> decltype(function(std::declval<ReadExecutor&>()));

 private:
  class Turn;

  // What loads and saves work with, made when first asked for and kept.
  Result<Machinery> MachineryFor(Priority priority);

  // Whether files of `directory` are written past the page cache, which is
  // tried with the first of them, `file`, while it is empty.
  Result<bool> MayBeDirect(const File& directory, File& file);

  // Waits until no save is running, if need be, and counts as one from then
  // on. False if one is running.
  bool TakeTurn(WhenBusy when_busy);
  // Says that the turn is about to end: who may not wait for a save waits for
  // that.
  void EndTurnSoon();
  void EndTurn();

  // The error of the last asynchronous save that nobody was told of.
  Status TakeUnobserved();

  // Closes the file in the background.
  void CloseLater(File file);
  // Returns when the files of CloseLater() are closed; whether there were any.
  bool FinishClosing();

  // What a save that begins now comes after, as far as its options say.
  Result<DeviceOrder> NoteStreams(const SaveOptions& options);

  // `source`: what reads options.source; null if there is none.
  Result<SaveReport> Save(const State& state, const std::string& path,
                          const SaveOptions& options, SourceStorages* source);

  // What a save to `path` does to its tensors.
  CompressionWish WishOf(const SaveOptions& options, const std::string& path,
                         Priority priority);

  Result<SaveReport> Write(PartStream& parts, const std::string& path,
                           const SaveOptions& options, Priority priority,
                           SaveHooks hooks);

  // All files of `plan`, one after the other. `hooks` are those of one file.
  // Sets `failed`, unless null, to the path of the file that failed.
  Result<SaveReport> WriteAll(const SavePlan& plan, const SaveOptions& options,
                              Priority priority, const SaveHooks& hooks,
                              std::string* failed);

  // An asynchronous save, on its own thread.
  Result<SaveReport> WriteAsync(const SavePlan& plan,
                                const AsyncOptions& options,
                                std::span<const StorageHandle> storages,
                                DeviceOrder order, Ticket::Shared& shared);

  const EngineOptions options_;
  FileSystem& files_;
  Devices& devices_;

  std::mutex turn_lock_;
  std::condition_variable turn_free_;
  bool saving_ = false;  // guarded by turn_lock_
  bool ending_ = false;  // guarded by turn_lock_; the result is known
  std::thread saver_;    // of who has the turn
  std::mutex last_lock_;
  std::shared_ptr<Ticket::Shared> last_;  // guarded by last_lock_

  std::unique_ptr<WorkerPool> closer_;  // of who has the turn

  std::mutex rates_lock_;
  std::map<std::string, double> disk_rates_;  // guarded by rates_lock_

  std::mutex direct_lock_;
  // By device and inode of the directory, whose names may change.
  std::map<std::pair<dev_t, ino_t>, bool> direct_;  // guarded by direct_lock_

  std::mutex machinery_lock_;
  std::optional<StagingPool> pool_;            // guarded by machinery_lock_
  std::optional<PinnedWindows> pinned_;        // of pool_; guarded by the same
  std::unique_ptr<WorkerPool> workers_;        // guarded by machinery_lock_
  std::unique_ptr<WorkerPool> batch_workers_;  // guarded by machinery_lock_
  std::unique_ptr<IoQueue> queue_;             // guarded by machinery_lock_
};

}  // namespace caisson
