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
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// One worker's share of a file that is read through the page cache.
constexpr size_t kShareBytes = size_t{4} << 20;

// What is read at once there, to be worked on while it lies in L2.
constexpr size_t kBlockBytes = size_t{256} << 10;

// How many tasks each worker is given ahead.
constexpr size_t kTasksPerThread = 4;

// The parts of one window, read through the source.
class ShareReader {
 public:
  ShareReader(const ByteSource& source, const KernelTable& kernels)
      : source_(source), kernels_(kernels) {}

  Status Run(std::span<ReadPart> parts) {
    while (!parts.empty()) {
      const bool alone = InPlace(parts[0]) || parts[0].bytes > kBlockBytes;
      const size_t count = alone ? 1 : Together(parts);
      CAISSON_RETURN_IF_ERROR(alone ? ReadLarge(parts[0])
                                    : ReadSmall(parts.first(count)));
      parts = parts.subspan(count);
    }
    return Status::Ok();
  }

 private:
  // Whether its bytes can be read to where they belong.
  static bool InPlace(const ReadPart& part) {
    return part.dst != nullptr && part.step.op != Op::kConvert &&
           part.bytes >= kBlockBytes / 4;
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
    const std::span<std::byte> block = Scratch().first(end - offset);
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(offset, block, "tensors"));
    return DrainParts(kernels_, block.data(), offset, parts);
  }

  Status ReadLarge(ReadPart& part) {
    std::byte* dst = part.dst;
    for (size_t at = 0; at < part.bytes; at += kBlockBytes) {
      ReadPart block = part;
      block.offset += at;
      block.bytes = std::min(kBlockBytes, part.bytes - at);
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
    const std::span<std::byte> bytes = in_place
                                           ? std::span(block.dst, block.bytes)
                                           : Scratch().first(block.bytes);
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(block.offset, bytes, "tensors"));
    if (in_place && block.step.op == Op::kCopy) {
      if (!block.sum) return Status::Ok();
      block.dst = nullptr;  // it is where it belongs
    }
    return DrainParts(kernels_, bytes.data(), block.offset,
                      std::span(&block, 1));
  }

  std::span<std::byte> Scratch() {
    if (scratch_ == nullptr) {
      scratch_ = std::make_unique_for_overwrite<std::byte[]>(kBlockBytes);
    }
    return {scratch_.get(), kBlockBytes};
  }

  const ByteSource& source_;
  const KernelTable& kernels_;
  std::unique_ptr<std::byte[]> scratch_;
};

// A window that was read into staging memory, or is done; or a task that is.
struct Arrival {
  ReadWindow* window = nullptr;
  StagingPool::Block block = {};            // what it was read into
  std::optional<Result<size_t>> read = {};  // none: it is done
  ReadTask* task = nullptr;
};

class ReadRun {
 public:
  ReadRun(const Machinery& machinery, const File* direct,
          const ByteSource& source, std::span<ReadTask> tasks, OnError on_error,
          const KernelTable& kernels,
          const std::function<void(uint64_t, uint64_t)>& progress)
      : machinery_(machinery),
        direct_(direct),
        source_(source),
        tasks_(tasks),
        on_error_(on_error),
        kernels_(kernels),
        progress_(progress),
        plan_(tasks,
              direct == nullptr ? kShareBytes : machinery.pool.block_bytes(),
              &rest_) {}

  Status Go() {
    for (const ReadWindow& window : plan_.windows()) total_ += window.bytes;
    for (const size_t i : rest_) total_ += tasks_[i].storage->bytes;
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
        arrivals_.Wait();
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
      RunReadTask(source_, task);
      Arrival arrival;
      arrival.task = &task;
      arrivals_.Add(std::move(arrival));
    });
    return true;
  }

  bool Start(ReadWindow& window) {
    if (direct_ == nullptr) return StartShare(window);
    auto block = machinery_.pool.TryLease();
    if (block && !*block) {
      if (in_flight_ > 0) return false;
      auto waited = machinery_.pool.Lease();  // others have them all
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
    const auto bytes = (**block).bytes().first(window.bytes);
    // std::function wants something that can be copied.
    auto lease = std::make_shared<StagingPool::Block>(std::move(**block));
    machinery_.queue.Read(*direct_, window.offset, bytes,
                          [this, &window, lease](Result<size_t> read) {
                            Arrival arrival;
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
      window.status = ShareReader(source_, kernels_).Run(plan_.PartsOf(window));
      Arrival arrival;
      arrival.window = &window;
      arrivals_.Add(std::move(arrival));
    });
    return true;
  }

  void TakeArrivals() {
    for (Arrival& arrival : arrivals_.Take()) {
      if (arrival.read) {
        Drain(arrival);
        continue;
      }
      --in_flight_;
      done_ += arrival.task != nullptr ? arrival.task->storage->bytes
                                       : arrival.window->bytes;
      Note(arrival.task != nullptr ? arrival.task->status
                                   : arrival.window->status);
      if (progress_) progress_(done_, total_);
    }
  }

  // Gives what was read into staging memory to a worker.
  void Drain(Arrival& arrival) {
    ReadWindow& window = *arrival.window;
    auto lease = std::make_shared<StagingPool::Block>(std::move(arrival.block));
    const Result<size_t> read = std::move(*arrival.read);
    machinery_.workers.Run([this, &window, lease, read] {
      window.status = DrainWindow(window, lease->data(), read);
      lease->Return();
      Arrival done;
      done.window = &window;
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
  const std::function<void(uint64_t, uint64_t)>& progress_;

  std::vector<size_t> rest_;
  ReadPlan plan_;
  Arrivals<Arrival> arrivals_;
  size_t in_flight_ = 0;
  bool stopped_ = false;
  Status pool_failure_;
  Status cancelled_;    // the first such error of the source itself
  uint64_t done_ = 0;   // bytes
  uint64_t total_ = 0;  // bytes
};

}  // namespace

Status ParallelReads::Run(const ByteSource& source, std::span<ReadTask> tasks,
                          OnError on_error) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  ReadRun run(machinery_, direct_, source, tasks, on_error, *kernels,
              progress_);
  return run.Go();
}

}  // namespace caisson
