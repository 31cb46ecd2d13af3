// SPDX-License-Identifier: Apache-2.0
//
// Saves and loads whole checkpoints at the speed of the disk, and saves them
// while the training goes on.
//
// An Engine owns a pool of staging memory, threads and an I/O queue, which are
// made when they are first needed and kept: make one and use it for every
// checkpoint. Memory beyond the state is the pool and the index of the file,
// whatever the size of the checkpoint.
//
// A file appears whole or not at all: see writer.h.
//
// Thread safety: all functions may be called on many threads at once. Saves
// run one after the other. Callbacks must not throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/compression.h"
#include "caisson/file_format.h"
#include "caisson/memory.h"
#include "caisson/profile.h"
#include "caisson/reader.h"
#include "caisson/report.h"
#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// How transfers are queued.
enum class IoKind : uint8_t {
  kAuto,     // what wins on this machine: see `caisson info --dir`
  kThreads,  // pread and pwrite
  kUring,    // io_uring; kUnavailable where the kernel forbids it
};

struct EngineOptions {
  // Staging memory. A save is asynchronous as far as its tensors fit.
  size_t pool_bytes = size_t{256} << 20;

  // The unit of staging and of writing: a multiple of 4096, and no more than
  // the pool.
  size_t window_bytes = size_t{8} << 20;

  // Threads that copy and check bytes. 0: one for each core; an asynchronous
  // save takes a quarter of that, at batch priority, and at least one.
  size_t threads = 0;

  // Transfers in flight. 0: 8.
  size_t depth = 0;

  IoKind io = IoKind::kAuto;

  // Whether to go past the page cache where the file system can (O_DIRECT).
  bool direct = true;
};

// Where a save or load is.
struct Progress {
  uint64_t bytes = 0;  // that are in the file, or in memory
  uint64_t total = 0;  // an upper bound while a save is being laid out
  double seconds = 0;  // since it began

  // In a callback: setting *stop ends the save or load as soon as possible
  // with kCancelled; a save leaves the old file in place. Too late, or in what
  // goes to a device, it changes nothing. Null elsewhere.
  bool* stop = nullptr;
};

using ProgressCallback = std::function<void(const Progress&)>;

struct SaveOptions {
  // The layout of a PyTorch file. Default: the state's own profile.
  std::optional<Profile> profile;

  // Which kind of file. Default: what the path's suffix says.
  FormatOptions format = {};

  // Whether tensors are compressed, in PyTorch files only. Those of devices
  // come to the host as they are, and are encoded there.
  CompressMode compress = CompressMode::kNone;

  // Whether file and directory are on the device when the save is done.
  // Without, the result survives a killed process, and may be lost or empty
  // after a power cut.
  bool sync = true;

  // Where storages that are not in memory are: an open file of which the state
  // is the Outline(), changed or not. They are read while the file is written,
  // and checked as a load checks them, before the file appears; what is not
  // stored as it is wanted (compressed, big-endian, a view of a part, or one
  // that is not dense) is read whole in its turn; for a compressed save or one
  // as text, all is read first. Must outlive the save. Save() only: SaveAsync()
  // answers kInvalidArgument. Null: all are in memory.
  const Reader* source = nullptr;

  // Called now and then, from the thread that saves; must not call the engine.
  ProgressCallback progress = {};

  // Streams that work on the tensors: what they were given before the call is
  // done before a byte is read, on all devices. Of a device without an entry
  // it is the default stream, CUDA's legacy one. They may be destroyed when
  // the call returns, as their work is waited for by devices.
  std::vector<DeviceStream> streams = {};

  // Keeps copies from each device below this, so that a training's own
  // transfers are served. 0: no limit.
  double device_bytes_per_second = 0;
};

// What SaveAsync does while another save is running.
enum class WhenBusy : uint8_t {
  kWait,  // starts when that is done; SaveAsync blocks meanwhile
  kSkip,  // returns a ticket that is done and says kCancelled
  kFail,  // kUnavailable
};

struct AsyncOptions {
  SaveOptions save;
  WhenBusy when_busy = WhenBusy::kWait;

  // The caller promises not to change the tensors before Wait() returns, so
  // Staged() need not wait.
  bool borrow = false;

  // Copies the tensors within the memory of their devices first: Staged()
  // returns when that is done, long before the bytes have crossed the link.
  // Where the memory is too small, the save goes on without, and says so.
  bool snapshot_on_device = false;

  // Called once when the save is over, from a thread of the engine; must not
  // call it.
  std::function<void(const Result<SaveReport>&)> done;
};

// A save that goes on. Dropping a ticket lets it.
//
// Thread safety: all functions may be called on many threads at once.
class Ticket {
 public:
  Ticket(Ticket&&) noexcept;
  Ticket& operator=(Ticket&&) noexcept;
  ~Ticket();

  // Waits until the tensors may change: the last byte of them is in staging
  // memory, or the save is over. Returns the error of one that failed.
  Status Staged() const;

  // Waits until the file is in place, or the save failed.
  Result<SaveReport> Wait() const;

  // Whether Wait() returns at once.
  bool done() const;

  // Waits no longer than that many seconds; whether Staged(), or Wait(),
  // returns at once.
  bool StagedWithin(double seconds) const;
  bool DoneWithin(double seconds) const;

  caisson::Progress progress() const;

  // Ends the save as soon as possible: kCancelled from Wait(), the old file in
  // place, nothing left behind. Too late, it changes nothing.
  void Cancel();

  class Shared;

 private:
  friend class Engine;
  explicit Ticket(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

class Engine {
 public:
  // Errors: kInvalidArgument for sizes that do not fit together, and for more
  // than 32768 threads or transfers.
  static Result<Engine> Create(const EngineOptions& options = {});

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Waits for a save that is running.
  ~Engine();

  // Writes `state` to `path`. Blocks until it is in place. Of several files,
  // each appears whole or not at all, one after the other, the index last.
  //
  // Storages may be in memory of devices; the file is that of the same storages
  // in host memory.
  //
  // REQUIRES: nobody changes the tensors meanwhile; every storage resident, or
  // of options.source.
  // Errors: those of Writer::Write, but that for devices; those of Reader::Read
  // for the source; kUnavailable, naming
  // the tensor, for a device that this build or machine lacks; kDevice; kIo,
  // before a byte is written, where the file system says that the file will not
  // fit, naming needed and free bytes.
  Result<SaveReport> Save(const State& state, const std::string& path,
                          const SaveOptions& options = {});

  // The same while the caller goes on. The tensors must stay as they are until
  // Ticket::Staged() returns; the tree may change at once.
  //
  // Errors: at once for a state that cannot be saved, and for kFail; the error
  // of an earlier save that nobody asked its ticket for, with nothing begun.
  Result<Ticket> SaveAsync(const State& state, const std::string& path,
                           const AsyncOptions& options = {});

  // Opens a file so that this Engine reads it at full speed: what of it is not
  // in the page cache is read past it.
  //
  // Errors: those of Reader::Open.
  static Result<Reader> Open(const std::string& path,
                             const ReaderOptions& options = {});

  // Reader::Load, LoadInto, Read and Verify, with many reads in flight. Block.
  // A Reader that was not opened by Open() is read through its adapter.
  // `progress` is called now and then on the calling thread, and must not call
  // the engine. `report`, unless null, is set when the function returns, also
  // with an error, unless the file could not be opened.
  //
  // Errors: those of the function.
  Result<State> Load(const Reader& reader, const LoadOptions& options = {},
                     const ProgressCallback& progress = {},
                     LoadReport* report = nullptr);
  Status LoadInto(const Reader& reader, State& state,
                  const LoadIntoOptions& options = {},
                  const ProgressCallback& progress = {},
                  LoadReport* report = nullptr);
  Result<ReadReport> Read(const Reader& reader,
                          std::span<const ReadRequest> requests,
                          const ProgressCallback& progress = {},
                          LoadReport* report = nullptr);
  Result<VerifyReport> Verify(const Reader& reader,
                              const ProgressCallback& progress = {},
                              LoadReport* report = nullptr);

  // The same of the file at `path`. Verify() is VerifyFile().
  //
  // Errors: those of Open() too.
  Result<State> Load(const std::string& path, const LoadOptions& options = {},
                     const ProgressCallback& progress = {},
                     LoadReport* report = nullptr);
  Status LoadInto(const std::string& path, State& state,
                  const LoadIntoOptions& options = {},
                  const ProgressCallback& progress = {},
                  LoadReport* report = nullptr);
  Result<VerifyReport> Verify(const std::string& path,
                              const ProgressCallback& progress = {},
                              LoadReport* report = nullptr);

  class Impl;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson
