// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/device_reads.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/arrivals.h"
#include "core/engine/read/read_plan.h"
#include "core/engine/stopwatch.h"

namespace caisson {
namespace {

// How many tasks and reads each worker is given ahead.
constexpr size_t kAheadPerThread = 4;

// How much of a tensor that the host decodes is there at once: a multiple of
// what chunks have.
constexpr uint64_t kRunBytes = uint64_t{8} << 20;

// The tasks of one device, and their windows.
struct Share {
  Share(DeviceLoader& its_loader, std::vector<ReadTask> its_tasks,
        size_t window_bytes)
      : loader(its_loader),
        tasks(std::move(its_tasks)),
        plan(tasks, window_bytes, ReadPlan::Encoded::kPlanes, &rest) {}

  DeviceLoader& loader;
  std::vector<ReadTask> tasks;
  std::vector<size_t> rest;  // of tasks
  ReadPlan plan;
};

struct ShareWindow {
  Share* share;
  ReadWindow* window;
};

// A window that was read, or one or a task that is done.
struct Arrival {
  ShareWindow of = {};
  StagingPool::Block block = {};
  std::optional<Result<size_t>> read = {};  // none: it is done
  ReadTask* task = nullptr;
  double seconds = 0;
};

class DeviceRun {
 public:
  DeviceRun(const Machinery& machinery, const File* direct,
            const ByteSource& source, std::span<Share* const> shares,
            OnError on_error, LoadTimes& times,
            const std::function<void(uint64_t)>& done)
      : machinery_(machinery),
        direct_(direct),
        source_(source),
        on_error_(on_error),
        times_(times),
        done_(done) {
    for (Share* const share : shares) {
      for (const size_t i : share->rest) {
        share->tasks[i].status = Status::Cancelled("not read");
        tasks_.emplace_back(share, &share->tasks[i]);
      }
      for (ReadWindow& window : share->plan.windows()) {
        windows_.push_back({share, &window});
      }
    }
    std::ranges::stable_sort(
        windows_, {}, [](const ShareWindow& of) { return of.window->offset; });
  }

  // Does it all. Returns what kept it from that, but the status of tasks.
  Status Go() {
    size_t next_task = 0;
    size_t next = 0;
    while (true) {
      TakeArrivals();
      if (next_task < tasks_.size() && !stopped_ && StartTask(next_task)) {
        ++next_task;
      } else if (next < windows_.size() && !stopped_ && Start(windows_[next])) {
        ++next;
      } else if (in_flight_ > 0) {
        Wait();
      } else {
        return failure_;
      }
    }
  }

 private:
  // False, here and below, if it must wait for what is in flight.
  bool StartTask(size_t i) {
    if (working_ >= kAheadPerThread * machinery_.workers.threads()) {
      return false;
    }
    ++in_flight_;
    ++working_;
    machinery_.workers.Run(
        [this, share = tasks_[i].first, task = tasks_[i].second] {
          const Stopwatch watch;
          task->status = DoTask(*share, *task);
          Arrival arrival;
          arrival.task = task;
          arrival.seconds = watch.seconds();
          arrivals_.Add(std::move(arrival));
        });
    return true;
  }

  // What windows cannot cut: in host memory first.
  Status DoTask(const Share& share, ReadTask& task) {
    if (task.kind == ReadTask::Kind::kWhole &&
        task.storage->pieces.size() > 1) {
      return DoRuns(share, task);
    }
    CAISSON_ASSIGN_OR_RETURN(const Buffer host,
                             Buffer::Allocate(task.dst.size()));
    ReadTask here = task;
    here.dst = host.bytes();
    RunReadTask(source_, here);
    task.read = here.read;
    CAISSON_RETURN_IF_ERROR(here.status);
    NoteDecoded(share, task);
    return share.loader.Put(task.dst.data(), host.bytes());
  }

  // A record in chunks: some of them after the other, so that no tensor is
  // whole in host memory.
  Status DoRuns(const Share& share, ReadTask& task) {
    const uint64_t bytes = task.storage->bytes;
    CAISSON_ASSIGN_OR_RETURN(
        const Buffer host,
        Buffer::Allocate(std::min<uint64_t>(kRunBytes, bytes)));
    for (uint64_t at = 0; at < bytes; at += kRunBytes) {
      const auto run =
          host.bytes().first(std::min<uint64_t>(kRunBytes, bytes - at));
      CAISSON_ASSIGN_OR_RETURN(
          const StorageRead read,
          ReadStorage(source_, *task.storage, at, run, task.check));
      task.read.checked = task.read.checked && read.checked;
      task.read.file_bytes += read.file_bytes;
      CAISSON_RETURN_IF_ERROR(share.loader.Put(task.dst.data() + at, run));
    }
    NoteDecoded(share, task);
    return Status::Ok();
  }

  static void NoteDecoded(const Share& share, const ReadTask& task) {
    const bool encoded = std::ranges::any_of(
        task.storage->pieces,
        [](const Piece& piece) { return piece.encoding != Encoding::kRaw; });
    if (!encoded) return;
    share.loader.NoteByHost(
        task.dst.size(),
        "devices decode whole chunks of the plane codec alone, as they are, in "
        "windows that hold them");
  }

  bool Start(const ShareWindow& of) {
    const bool by_worker = direct_ == nullptr;
    if (by_worker &&
        working_ >= kAheadPerThread * machinery_.workers.threads()) {
      return false;
    }
    auto block = Lease();
    if (!block) {
      failure_ = block.error();
      stopped_ = true;
      return true;
    }
    if (!*block) return false;
    of.share->loader.Want((**block).data());
    ++in_flight_;
    ++reading_;
    // std::function wants something that can be copied.
    auto lease = std::make_shared<StagingPool::Block>(std::move(**block));
    const auto arrive = [this, of, lease,
                         watch = Stopwatch()](Result<size_t> read) {
      Arrival arrival;
      arrival.of = of;
      arrival.block = std::move(*lease);
      arrival.read = std::move(read);
      arrival.seconds = watch.seconds();
      arrivals_.Add(std::move(arrival));
    };
    if (!by_worker) {
      machinery_.queue.Read(*direct_, of.window->offset,
                            lease->bytes().first(of.window->bytes), arrive);
      return true;
    }
    ++working_;
    machinery_.workers.Run([this, of, lease, arrive] {
      const auto image = lease->bytes().first(BytesOf(of));
      const Status status =
          source_.ReadExact(of.window->offset, image, "tensors");
      status.ok() ? arrive(image.size()) : arrive(status);
    });
    return true;
  }

  // None if others must give one back first.
  Result<std::optional<StagingPool::Block>> Lease() {
    CAISSON_ASSIGN_OR_RETURN(auto block, machinery_.pool.TryLease());
    if (block || in_flight_ > 0) return block;
    const Stopwatch watch;
    CAISSON_ASSIGN_OR_RETURN(StagingPool::Block waited,
                             machinery_.pool.Lease());
    times_.wait_memory += watch.seconds();
    return std::optional(std::move(waited));
  }

  // Up to the end of its last part.
  static size_t BytesOf(const ShareWindow& of) {
    uint64_t end = of.window->offset;
    for (const ReadPart& part : of.share->plan.PartsOf(*of.window)) {
      end = std::max(end, part.offset + part.bytes);
    }
    return static_cast<size_t>(end - of.window->offset);
  }

  void Wait() {
    const Stopwatch watch;
    arrivals_.Wait();
    if (reading_ > 0 && reading_ == in_flight_) {
      times_.wait_disk += watch.seconds();
    }
  }

  void TakeArrivals() {
    for (Arrival& arrival : arrivals_.Take()) {
      if (arrival.read) {
        --reading_;
        if (direct_ == nullptr) --working_;
        times_.transfer += arrival.seconds;
        Bring(arrival);
        continue;
      }
      --in_flight_;
      uint64_t bytes = 0;
      if (arrival.task != nullptr) {
        --working_;
        bytes = arrival.task->storage->bytes;
        times_.copy += arrival.seconds;
      } else {
        for (const ReadPart& part :
             arrival.of.share->plan.PartsOf(*arrival.of.window)) {
          bytes += part.bytes;
        }
      }
      Note(arrival.task != nullptr ? arrival.task->status
                                   : arrival.of.window->status);
      done_(bytes);
    }
  }

  // Gives what was read to the device.
  void Bring(Arrival& arrival) {
    const ShareWindow of = arrival.of;
    of.window->status = arrival.read->status();
    if (of.window->status.ok() && **arrival.read < BytesOf(of)) {
      of.window->status = source_.Corrupt(of.window->offset + **arrival.read,
                                          "tensors", "the file ended");
    }
    // What was read is brought after an error elsewhere too: a task takes the
    // status of its first window that failed, which shall be that error.
    if (!of.window->status.ok()) {
      arrivals_.Add({.of = of});
      return;
    }
    auto lease = std::make_shared<StagingPool::Block>(std::move(arrival.block));
    of.share->loader.Bring(
        {lease->bytes(), of.window->offset, of.share->plan.PartsOf(*of.window)},
        [this, of, lease](const Status& status) {
          of.window->status =
              status.ok() ? status : status.WithContext(source_.name());
          lease->Return();
          arrivals_.Add({.of = of});
        });
  }

  void Note(const Status& status) {
    if (!status.ok() && on_error_ == OnError::kStop) stopped_ = true;
  }

  const Machinery& machinery_;
  const File* const direct_;
  const ByteSource& source_;
  const OnError on_error_;
  LoadTimes& times_;
  const std::function<void(uint64_t)>& done_;

  std::vector<std::pair<Share*, ReadTask*>> tasks_;
  std::vector<ShareWindow> windows_;  // in file order
  Arrivals<Arrival> arrivals_;
  size_t in_flight_ = 0;
  size_t reading_ = 0;  // of them, windows that are being read
  size_t working_ = 0;  // of them with workers of the host
  bool stopped_ = false;
  Status failure_;
};

}  // namespace

Result<DeviceLoader*> DeviceReads::LoaderOf(Device device) {
  const auto known = loaders_.find(device.ordinal);
  if (known != loaders_.end()) return known->second.get();
  CAISSON_ASSIGN_OR_RETURN(DeviceRuntime* const runtime,
                           machinery_.devices.Runtime());
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                           machinery_.devices.Kernels(device));
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* const host,
                           KernelsFor(Device::Cpu()));
  if (loaders_.empty()) {
    CAISSON_ASSIGN_OR_RETURN(order_, DeviceOrder::Note(*runtime, streams_));
  }
  CAISSON_ASSIGN_OR_RETURN(
      auto loader, DeviceLoader::Create({*runtime, *kernels, *host,
                                         machinery_.workers, machinery_.pinned},
                                        device, order_));
  return (loaders_[device.ordinal] = std::move(loader)).get();
}

Status DeviceReads::Run(const ByteSource& source, const File* direct,
                        std::span<ReadTask> tasks, OnError on_error,
                        LoadTimes& times,
                        const std::function<void(uint64_t)>& done) {
  std::map<int, std::vector<size_t>> by_device;
  for (size_t i = 0; i < tasks.size(); ++i) {
    by_device[tasks[i].device.ordinal].push_back(i);
  }
  std::vector<std::unique_ptr<Share>> shares;
  std::vector<Share*> all;
  for (const auto& [ordinal, indices] : by_device) {
    CAISSON_ASSIGN_OR_RETURN(DeviceLoader* const loader,
                             LoaderOf(Device::Cuda(ordinal)));
    std::vector<ReadTask> its;
    for (const size_t i : indices) its.push_back(tasks[i]);
    shares.push_back(std::make_unique<Share>(*loader, std::move(its),
                                             machinery_.pool.block_bytes()));
    all.push_back(shares.back().get());
  }
  DeviceRun run(machinery_, direct, source, all, on_error, times, done);
  const Status failure = run.Go();
  size_t next_share = 0;
  for (const auto& [_, indices] : by_device) {
    Share& share = *shares[next_share++];
    share.plan.Finish(source, share.tasks);
    for (size_t k = 0; k < indices.size(); ++k) {
      tasks[indices[k]].status = share.tasks[k].status;
      tasks[indices[k]].read = share.tasks[k].read;
      if (share.tasks[k].status.ok()) bytes_ += share.tasks[k].dst.size();
    }
  }
  CAISSON_RETURN_IF_ERROR(failure);
  Status cancelled;
  for (const ReadTask& task : tasks) {
    // Those that were not begun are the consequence of another's error.
    if (task.status.code() != StatusCode::kCancelled) {
      CAISSON_RETURN_IF_ERROR(task.status);
    } else if (cancelled.ok()) {
      cancelled = task.status;
    }
  }
  return cancelled;
}

void DeviceReads::AddTo(DeviceLoadReport& report) const {
  report.bytes += bytes_;
  for (const auto& [_, loader] : loaders_) loader->AddTo(report);
}

}  // namespace caisson
