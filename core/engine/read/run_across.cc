// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/run_across.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/device/device_loader.h"

namespace caisson {
namespace {

bool InOneFile(const StorageLayout& storage) {
  return std::ranges::all_of(storage.pieces, [&](const Piece& piece) {
    return piece.source == storage.pieces.front().source;
  });
}

// A task of one file, and the task that it is a part of.
struct Part {
  size_t of;
  ReadTask task;
};

class AcrossRun {
 public:
  AcrossRun(const ByteSource& first, std::span<const ByteSource> others,
            std::span<ReadTask> tasks, ReadExecutor& reads, OnError on_error)
      : first_(first),
        others_(others),
        tasks_(tasks),
        reads_(reads),
        on_error_(on_error),
        parts_(1 + others.size()) {}

  Status Go() {
    uint64_t bytes = 0;
    std::vector<size_t> blocks;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      const StorageLayout& storage = *tasks_[i].storage;
      bytes += storage.bytes;
      if (InOneFile(storage)) {
        parts_[storage.pieces.front().source].push_back({i, tasks_[i]});
      } else if (tasks_[i].kind == ReadTask::Kind::kView) {
        blocks.push_back(i);
      } else {
        Split(i);
      }
    }
    reads_.Expect(bytes);
    for (size_t s = 0; s < parts_.size(); ++s) {
      const Status ran = RunFile(s);
      if (on_error_ == OnError::kStop) CAISSON_RETURN_IF_ERROR(ran);
    }
    for (const size_t i : blocks) {
      RunBlock(tasks_[i]);
      if (on_error_ == OnError::kStop) {
        CAISSON_RETURN_IF_ERROR(tasks_[i].status);
      }
    }
    for (const ReadTask& task : tasks_) CAISSON_RETURN_IF_ERROR(task.status);
    return Status::Ok();
  }

 private:
  // Cuts a task where the file changes.
  void Split(size_t index) {
    const ReadTask& task = tasks_[index];
    const std::vector<Piece>& pieces = task.storage->pieces;
    const size_t width = std::max<size_t>(ByteWidth(task.storage->dtype), 1);
    const bool cast = task.kind == ReadTask::Kind::kCast;
    for (size_t i = 0; i < pieces.size();) {
      const uint64_t begin = pieces[i].first_elem;
      StorageLayout& run = runs_.emplace_back();
      run.record = task.storage->record;
      run.dtype = task.storage->dtype;
      for (;
           i < pieces.size() && (run.pieces.empty() ||
                                 pieces[i].source == run.pieces.front().source);
           ++i) {
        run.pieces.push_back(pieces[i]);
        run.pieces.back().first_elem -= begin;
        run.bytes += pieces[i].elems * width;
      }
      Part part{index, task};
      part.task.storage = &run;
      if (task.kind != ReadTask::Kind::kCheck) {
        const auto moved = [&](uint64_t bytes) {
          return cast ? bytes / ByteWidth(task.from) * ByteWidth(task.to)
                      : bytes;
        };
        part.task.dst =
            task.dst.subspan(moved(begin * width), moved(run.bytes));
      }
      parts_[run.pieces.front().source].push_back(std::move(part));
    }
  }

  Status RunFile(size_t source) {
    std::vector<Part>& parts = parts_[source];
    if (parts.empty()) return Status::Ok();
    std::vector<ReadTask> tasks;
    tasks.reserve(parts.size());
    for (const Part& part : parts) tasks.push_back(part.task);
    const Status ran =
        reads_.Run(reads_.OfCall(source == 0 ? first_ : others_[source - 1]),
                   tasks, on_error_);
    for (size_t i = 0; i < parts.size(); ++i) {
      ReadTask& whole = tasks_[parts[i].of];
      if (whole.status.ok()) whole.status = tasks[i].status;
      whole.read.checked = whole.read.checked && tasks[i].read.checked;
      whole.read.file_bytes += tasks[i].read.file_bytes;
    }
    return ran;
  }

  void RunBlock(ReadTask& task) const {
    const Result<StorageRead> read = ReadBlock(task);
    task.status = read.status();
    if (read) task.read = *read;
  }

  Result<StorageRead> ReadBlock(const ReadTask& task) const {
    const Sources sources(first_, others_);
    if (task.device.is_cpu()) {
      return ReadView(sources, *task.storage, *task.view, task.dst, task.check);
    }
    CAISSON_ASSIGN_OR_RETURN(DeviceLoader * loader,
                             reads_.LoaderOf(task.device));
    CAISSON_ASSIGN_OR_RETURN(const Buffer host,
                             Buffer::Allocate(task.dst.size()));
    CAISSON_ASSIGN_OR_RETURN(
        const StorageRead read,
        ReadView(sources, *task.storage, *task.view, host.bytes(), task.check));
    CAISSON_RETURN_IF_ERROR(loader->Put(task.dst.data(), host.bytes()));
    return read;
  }

  const ByteSource& first_;
  const std::span<const ByteSource> others_;
  const std::span<ReadTask> tasks_;
  ReadExecutor& reads_;
  const OnError on_error_;
  std::vector<std::vector<Part>> parts_;  // by file
  std::deque<StorageLayout> runs_;        // that tasks of parts_ point to
};

}  // namespace

Status RunAcross(const ByteSource& first, std::span<const ByteSource> others,
                 std::span<ReadTask> tasks, ReadExecutor& reads,
                 OnError on_error) {
  if (others.empty()) return reads.Run(first, tasks, on_error);
  return AcrossRun(first, others, tasks, reads, on_error).Go();
}

}  // namespace caisson
