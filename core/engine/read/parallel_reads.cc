// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/parallel_reads.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/engine/arrivals.h"
#include "core/engine/stopwatch.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// One worker's share of a file that is read through the page cache.
constexpr size_t kShareBytes = size_t{4} << 20;

// What is read at once there, to be worked on while it lies in L2.
constexpr size_t kBlockBytes = size_t{256} << 10;

// How many tasks each worker is given ahead.
constexpr size_t kTasksPerThread = 4;

// How long a worker was busy with what, in seconds.
struct Work {
  double transfer = 0;
  double copy = 0;
};

// Calls `work` and adds what it took to `seconds`.
template <class Function>
Status Timed(double& seconds, const Function& work) {
  const Stopwatch watch;
  Status status = work();
  seconds += watch.seconds();
  return status;
}

// The parts of one window, read through the source.
class ShareReader {
 public:
  ShareReader(const ByteSource& source, const KernelTable& kernels)
      : source_(source), kernels_(kernels) {}

  Status Run(std::span<ReadPart> parts) {
    while (!parts.empty()) {
      const bool large = parts[0].bytes > kBlockBytes;
      const bool alone = InPlace(parts[0]) || large;
      const size_t count = alone ? 1 : Together(parts);
      CAISSON_RETURN_IF_ERROR(alone && parts[0].encoded == nullptr
                                  ? ReadLarge(parts[0])
                                  : ReadSmall(parts.first(count)));
      parts = parts.subspan(count);
    }
    return Status::Ok();
  }

  const Work& work() const { return work_; }

 private:
  // Whether its bytes can be read to where they belong.
  static bool InPlace(const ReadPart& part) {
    return part.encoded == nullptr && part.dst != nullptr &&
           part.step.op != Op::kConvert && part.bytes >= kBlockBytes / 4;
  }

  // How many of the first parts lie within one block.
  static size_t Together(std::span<const ReadPart> parts) {
    size_t count = 1;
    while (count < parts.size() && !InPlace(parts[count]) &&
           parts[count].offset >= parts[0].offset &&
           parts[count].offset + parts[count].bytes <=
               parts[0].offset + kBlockBytes) {
      ++count;
    }
    return count;
  }

  Status ReadSmall(std::span<ReadPart> parts) {
    const uint64_t offset = parts[0].offset;
    uint64_t end = offset;
    for (const ReadPart& part : parts) {
      end = std::max(end, part.offset + part.bytes);
    }
    // A chunk may be larger than a block.
    const std::span<std::byte> block = Scratch(end - offset);
    CAISSON_RETURN_IF_ERROR(Read(offset, block));
    return Copy(block.data(), offset, parts);
  }

  Status ReadLarge(ReadPart& part) {
    std::byte* dst = part.dst;
    for (size_t at = 0; at < part.bytes; at += kBlockBytes) {
      ReadPart block = part;
      block.offset += at;
      block.bytes = std::min(kBlockBytes, part.bytes - at);
      block.elems = block.bytes / ByteWidth(part.step.from);
      block.dst = dst;
      if (dst != nullptr) {
        dst +=
            block.bytes / ByteWidth(part.step.from) * ByteWidth(part.step.to);
      }
      CAISSON_RETURN_IF_ERROR(ReadBlock(block));
      part.crc =
          at == 0 ? block.crc : Crc32Combine(part.crc, block.crc, block.bytes);
    }
    return Status::Ok();
  }

  Status ReadBlock(ReadPart& block) {
    const bool in_place = InPlace(block);
    const std::span<std::byte> bytes =
        in_place ? std::span(block.dst, block.bytes) : Scratch(block.bytes);
    CAISSON_RETURN_IF_ERROR(Read(block.offset, bytes));
    if (in_place && block.step.op == Op::kCopy) {
      if (!block.sum) return Status::Ok();
      block.dst = nullptr;  // it is where it belongs
    }
    return Copy(bytes.data(), block.offset, std::span(&block, 1));
  }

  Status Read(uint64_t offset, std::span<std::byte> dst) {
    return Timed(work_.transfer,
                 [&] { return source_.ReadExact(offset, dst, "tensors"); });
  }

  Status Copy(const std::byte* image, uint64_t offset,
              std::span<ReadPart> parts) {
    return Timed(work_.copy,
                 [&] { return DrainParts(kernels_, image, offset, parts); });
  }

  std::span<std::byte> Scratch(size_t bytes) {
    if (bytes > scratch_bytes_) {
      scratch_bytes_ = std::max(bytes, kBlockBytes);
      scratch_ = std::make_unique_for_overwrite<std::byte[]>(scratch_bytes_);
    }
    return {scratch_.get(), bytes};
  }

  const ByteSource& source_;
  const KernelTable& kernels_;
  std::unique_ptr<std::byte[]> scratch_;
  size_t scratch_bytes_ = 0;
  Work work_;
};

// A window that was read into staging memory, or is done; or a task that is.
struct Arrival {
  ReadWindow* window = nullptr;
  StagingPool::Block block = {};            // what it was read into
  std::optional<Result<size_t>> read = {};  // none: it is done
  ReadTask* task = nullptr;
  Work work = {};
};

// What was done by now and is known to come, in bytes of storages.
struct ReadCount {
  uint64_t done = 0;
  uint64_t total = 0;
};

class ReadRun {
 public:
  ReadRun(const Machinery& machinery, const File* direct,
          const ByteSource& source, std::span<ReadTask> tasks, OnError on_error,
          const KernelTable& kernels,
          const std::function<bool(uint64_t, uint64_t)>& progress,
          const ReadCount& count, LoadTimes& times)
      : machinery_(machinery),
        direct_(direct),
        source_(source),
        tasks_(tasks),
        on_error_(on_error),
        kernels_(kernels),
        progress_(progress),
        count_(count),
        times_(times),
        plan_(tasks,
              direct == nullptr ? kShareBytes : machinery.pool.block_bytes(),
              ReadPlan::Encoded::kAll, &rest_) {}

  Status Go() {
    for (const size_t i : rest_) {
      tasks_[i].status = Status::Cancelled("not read");
    }
    size_t next_task = 0;
    size_t next = 0;
    while (true) {
      TakeArrivals();
      const bool more_tasks = next_task < rest_.size() && !stopped_;
      const bool more = next < plan_.windows().size() && !stopped_;
      if (more_tasks && StartTask(tasks_[rest_[next_task]])) {
        ++next_task;
      } else if (more && Start(plan_.windows()[next])) {
        ++next;
      } else if (in_flight_ > 0) {
        Wait(more);
      } else {
        break;
      }
    }
    plan_.Finish(source_, tasks_);
    CAISSON_RETURN_IF_ERROR(pool_failure_);
    for (const ReadTask& task : tasks_) {
      // Those that were not begun are the consequence of another's error.
      if (task.status.code() == StatusCode::kCancelled) continue;
      CAISSON_RETURN_IF_ERROR(task.status);
    }
    return cancelled_;
  }

 private:
  // Waits for what is in flight, and notes who kept it waiting: where neither
  // the disk nor the workers are idle, nobody.
  void Wait(bool more) {
    const Stopwatch watch;
    arrivals_.Wait();
    if (reading_ > 0 && reading_ == in_flight_) {
      times_.wait_disk += watch.seconds();
    } else if (direct_ != nullptr && more && reading_ == 0) {
      times_.wait_memory += watch.seconds();
    }
  }

  // Whether the workers have enough to do. They take tasks in order: who gave
  // them all at once would keep other loads and saves waiting until the end,
  // and read on after an error.
  bool WorkersAreBusy() const {
    return in_flight_ >= kTasksPerThread * machinery_.workers.threads();
  }

  // False, here and below, if it must wait for what is in flight.
  bool StartTask(ReadTask& task) {
    if (WorkersAreBusy()) return false;
    ++in_flight_;
    machinery_.workers.Run([this, &task] {
      const Stopwatch watch;
      RunReadTask(source_, task);
      Arrival arrival;
      arrival.task = &task;
      arrival.work.copy = watch.seconds();
      arrivals_.Add(std::move(arrival));
    });
    return true;
  }

  bool Start(ReadWindow& window) {
    if (direct_ == nullptr) return StartShare(window);
    auto block = machinery_.pool.TryLease();
    if (block && !*block) {
      if (in_flight_ > 0) return false;
      const Stopwatch waiting;
      auto waited = machinery_.pool.Lease();  // others have them all
      times_.wait_memory += waiting.seconds();
      if (waited) {
        block = std::optional(std::move(*waited));
      } else {
        block = waited.error();
      }
    }
    if (!block) {
      pool_failure_ = block.error();
      stopped_ = true;
      return true;
    }
    ++in_flight_;
    ++reading_;
    const auto bytes = (**block).bytes().first(window.bytes);
    // std::function wants something that can be copied.
    auto lease = std::make_shared<StagingPool::Block>(std::move(**block));
    machinery_.queue.Read(
        *direct_, window.offset, bytes,
        [this, &window, lease, watch = Stopwatch()](Result<size_t> read) {
          Arrival arrival;
          arrival.work.transfer = watch.seconds();
          arrival.window = &window;
          arrival.block = std::move(*lease);
          arrival.read = std::move(read);
          arrivals_.Add(std::move(arrival));
        });
    return true;
  }

  bool StartShare(ReadWindow& window) {
    if (WorkersAreBusy()) return false;
    ++in_flight_;
    machinery_.workers.Run([this, &window] {
      ShareReader reader(source_, kernels_);
      window.status = reader.Run(plan_.PartsOf(window));
      Arrival arrival;
      arrival.window = &window;
      arrival.work = reader.work();
      arrivals_.Add(std::move(arrival));
    });
    return true;
  }

  void TakeArrivals() {
    for (Arrival& arrival : arrivals_.Take()) {
      times_.transfer += arrival.work.transfer;
      times_.copy += arrival.work.copy;
      if (arrival.read) {
        --reading_;
        Drain(arrival);
        continue;
      }
      --in_flight_;
      count_.done += arrival.task != nullptr ? arrival.task->storage->bytes
                                             : BytesOf(*arrival.window);
      Note(arrival.task != nullptr ? arrival.task->status
                                   : arrival.window->status);
      if (progress_ && !progress_(count_.done, count_.total)) {
        cancelled_ = Status::Cancelled(source_.name() + ": load cancelled");
        stopped_ = true;
      }
    }
  }

  // Those of storages, without what lies between them.
  uint64_t BytesOf(const ReadWindow& window) {
    uint64_t bytes = 0;
    for (const ReadPart& part : plan_.PartsOf(window)) {
      bytes += part.elems * ByteWidth(part.step.from);
    }
    return bytes;
  }

  // Gives what was read into staging memory to a worker.
  void Drain(Arrival& arrival) {
    ReadWindow& window = *arrival.window;
    auto lease = std::make_shared<StagingPool::Block>(std::move(arrival.block));
    const Result<size_t> read = std::move(*arrival.read);
    machinery_.workers.Run([this, &window, lease, read] {
      Arrival done;
      done.window = &window;
      window.status = Timed(done.work.copy, [&] {
        return DrainWindow(window, lease->data(), read);
      });
      lease->Return();
      arrivals_.Add(std::move(done));
    });
  }

  Status DrainWindow(ReadWindow& window, const std::byte* image,
                     const Result<size_t>& read) {
    CAISSON_RETURN_IF_ERROR(read.status());
    const std::span<ReadPart> parts = plan_.PartsOf(window);
    for (const ReadPart& part : parts) {
      if (part.offset + part.bytes <= window.offset + *read) continue;
      return source_.Corrupt(part.offset, "tensors", "the file ended");
    }
    return DrainParts(kernels_, image, window.offset, parts);
  }

  void Note(const Status& status) {
    if (status.code() == StatusCode::kCancelled && cancelled_.ok()) {
      cancelled_ = status;
    }
    if (!status.ok() && on_error_ == OnError::kStop) stopped_ = true;
  }

  const Machinery& machinery_;
  const File* const direct_;
  const ByteSource& source_;
  const std::span<ReadTask> tasks_;
  const OnError on_error_;
  const KernelTable& kernels_;
  const std::function<bool(uint64_t, uint64_t)>& progress_;
  ReadCount count_;
  LoadTimes& times_;

  std::vector<size_t> rest_;
  ReadPlan plan_;
  Arrivals<Arrival> arrivals_;
  size_t in_flight_ = 0;  // with the disk or the workers
  size_t reading_ = 0;    // of them with the disk
  bool stopped_ = false;
  Status pool_failure_;
  Status cancelled_;  // the first such error of the source itself
};

}  // namespace

Status ParallelReads::Run(const ByteSource& source, std::span<ReadTask> tasks,
                          OnError on_error) {
  uint64_t bytes = 0;
  bool devices = false;
  for (const ReadTask& task : tasks) {
    bytes += task.storage->bytes;
    devices = devices || !task.device.is_cpu();
  }
  total_ = std::max(total_, done_ + bytes);
  const uint64_t end = done_ + bytes;
  Status status = devices ? RunOnDevices(source, tasks, on_error)
                          : RunOnHost(source, tasks, on_error);
  done_ = end;
  uint64_t read = 0;
  for (const ReadTask& task : tasks) {
    if (!task.status.ok()) continue;
    report_.file_bytes += task.read.file_bytes;
    read += task.read.file_bytes;
    report_.tensor_bytes += task.dst.size();
  }
  if (read > 0) route_bytes_[&routes_.Of(source)] += read;
  return status;
}

const ReadRoute* ParallelReads::main_route() const {
  const ReadRoute* most = nullptr;
  uint64_t bytes = 0;
  for (const auto& [route, read] : route_bytes_) {
    if (read <= bytes) continue;
    most = route;
    bytes = read;
  }
  return most;
}

Status ParallelReads::RunOnHost(const ByteSource& source,
                                std::span<ReadTask> tasks, OnError on_error) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  ReadRun run(machinery_, routes_.Of(source).direct(), source, tasks, on_error,
              *kernels, progress_, {done_, total_}, report_.stages);
  return run.Go();
}

// Those of the host first, which are few where some are of devices.
Status ParallelReads::RunOnDevices(const ByteSource& source,
                                   std::span<ReadTask> tasks,
                                   OnError on_error) {
  std::vector<ReadTask> here;
  std::vector<ReadTask> there;
  for (const ReadTask& task : tasks) {
    (task.device.is_cpu() ? here : there).push_back(task);
  }
  Status first = RunOnHost(source, here, on_error);
  for (const ReadTask& task : here) done_ += task.storage->bytes;
  if (first.ok() || on_error == OnError::kGoOn) {
    const Status second =
        devices_.Run(source, routes_.Of(source).direct(), there, on_error,
                     report_.stages, [this](uint64_t bytes) {
                       done_ += bytes;
                       if (progress_) progress_(done_, total_);
                     });
    if (first.ok()) first = second;
  } else {
    for (ReadTask& task : there) task.status = Status::Cancelled("not read");
  }
  auto next_here = here.begin();
  auto next_there = there.begin();
  for (ReadTask& task : tasks) {
    task = task.device.is_cpu() ? *next_here++ : *next_there++;
  }
  return first;
}

}  // namespace caisson
