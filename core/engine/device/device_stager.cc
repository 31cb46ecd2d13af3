// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_stager.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/job_batch.h"

namespace caisson {
namespace {

// Bounds the scratch of a launch.
constexpr size_t kBatchJobs = 1024;

// So many copies that are not asynchronous take longer than pinning.
constexpr size_t kManyFills = 256;

// Under a limit, how much is given to the link at once.
constexpr size_t kSliceBytes = size_t{1} << 20;

// Copied as it is, by the copy engine.
bool IsCopied(const Fill& fill) {
  return fill.step.op == Op::kCopy && fill.bytes >= DeviceStager::kCopiedBytes;
}

uint64_t BytesOf(const PlaceFills& fills) {
  uint64_t bytes = 0;
  for (const Fill& fill : fills.fills) bytes += fill.bytes;
  return bytes;
}

}  // namespace

struct DeviceStager::Task {
  std::span<std::byte> window;
  PlaceFills& fills;
  std::function<void()> done;
  std::optional<StagingSlot> slot;
  bool by_host = false;  // the CRCs, and what else is not a copy
};

Result<std::unique_ptr<DeviceStager>> DeviceStager::Create(
    const Setting& setting, Device device, DeviceOrder& order) {
  std::unique_ptr<DeviceStager> stager(new DeviceStager(setting, device));
  CAISSON_RETURN_IF_ERROR(stager->Open(order));
  return stager;
}

Status DeviceStager::Open(DeviceOrder& order) {
  DeviceRuntime& runtime = setting_.runtime;
  CAISSON_ASSIGN_OR_RETURN(
      copies_, OwnedStream::Create(runtime, device_, StreamPriority::kLowest));
  CAISSON_ASSIGN_OR_RETURN(
      sums_, OwnedStream::Create(runtime, device_, StreamPriority::kLowest));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime, copies_.get()));
  CAISSON_RETURN_IF_ERROR(order.Precede(runtime, sums_.get()));
  const std::vector<Job> jobs(kBatchJobs);
  auto scratch = DeviceBuffer::Allocate(
      runtime, device_, setting_.kernels.workspace_bytes({}, jobs));
  if (scratch) {
    scratch_ = std::move(*scratch);
  } else if (scratch.error().code() == StatusCode::kOutOfMemory) {
    no_scratch_ = scratch.error().ToString();
  } else {
    return scratch.error();
  }
  CAISSON_ASSIGN_OR_RETURN(waiter_, WorkerPool::Create(1, Priority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(submitter_,
                           WorkerPool::Create(1, Priority::kNormal));
  return Status::Ok();
}

DeviceStager::~DeviceStager() {
  submitter_.reset();
  waiter_.reset();
}

void DeviceStager::Stage(std::span<std::byte> window, PlaceFills& fills,
                         std::function<void()> done) {
  auto task =
      std::make_shared<Task>(Task{window, fills, std::move(done), {}, false});
  submitter_->Run([this, task] {
    Submit(*task);
    waiter_->Run([this, task] { Await(task); });
  });
}

void DeviceStager::Submit(Task& task) {
  if (setting_.stopped()) {
    task.fills.status = Status::Cancelled("save: cancelled");
    return;
  }
  auto slot = TakeSlot();
  if (!slot) {
    task.fills.status = slot.error();
    return;
  }
  task.slot.emplace(std::move(*slot));
  const std::string obstacle = Obstacle(task);
  task.by_host = !obstacle.empty();
  task.fills.status = task.by_host ? SubmitCopies(task) : SubmitToDevice(task);
  // A part of it may have begun.
  if (!task.fills.status.ok()) return Quiesce();
  const uint64_t bytes = BytesOf(task.fills);
  const std::lock_guard hold(lock_);
  report_.bytes += bytes;
  (task.by_host ? report_.crc_host_bytes : report_.crc_device_bytes) += bytes;
  if (task.by_host) report_.crc_host_reason = obstacle;
}

std::string DeviceStager::Obstacle(Task& task) {
  if (!no_scratch_.empty()) return no_scratch_;
  if (!no_crcs_.empty()) return no_crcs_;
  PinnedWindows* const pinned = setting_.pinned;
  if (pinned == nullptr) return "staging memory is not pinned";
  const bool is_pinned =
      task.fills.fills.size() < kManyFills
          ? pinned->Want(setting_.runtime, device_, task.window.data())
          : pinned->Await(setting_.runtime, device_, task.window.data());
  if (!is_pinned) {
    const std::string problem = pinned->report().problem;
    return problem.empty() ? "staging memory was not pinned yet" : problem;
  }
  const Status reserved = task.slot->Reserve(task.fills.fills.size());
  if (!reserved.ok()) no_crcs_ = reserved.ToString();
  return no_crcs_;
}

Status DeviceStager::Copy(std::byte* dst, const Fill& fill) {
  const size_t slice = limit_.limited() ? kSliceBytes : fill.bytes;
  for (size_t at = 0; at < fill.bytes; at += slice) {
    const size_t bytes = std::min(slice, fill.bytes - at);
    limit_.Take(bytes, setting_.stopped);
    CAISSON_RETURN_IF_ERROR(
        setting_.runtime.Copy(dst + at, fill.src + at, bytes, copies_.get()));
  }
  return Status::Ok();
}

// Everything as it is; the host does the rest.
Status DeviceStager::SubmitCopies(Task& task) {
  for (const Fill& fill : task.fills.fills) {
    CAISSON_RETURN_IF_ERROR(Copy(&task.window[fill.at], fill));
  }
  return setting_.runtime.Record(task.slot->copied(), copies_.get());
}

Status DeviceStager::SubmitToDevice(Task& task) {
  // The CRCs first, so that they are taken while the copies go.
  CAISSON_RETURN_IF_ERROR(StartKernels(task));
  for (const Fill& fill : task.fills.fills) {
    if (!IsCopied(fill)) continue;
    CAISSON_RETURN_IF_ERROR(Copy(&task.window[fill.at], fill));
  }
  CAISSON_RETURN_IF_ERROR(
      setting_.runtime.Record(task.slot->copied(), copies_.get()));
  return setting_.runtime.Record(task.slot->summed(), sums_.get());
}

Status DeviceStager::StartKernels(Task& task) {
  // One launch for each step that occurs: a copy, and swaps of each width.
  struct Batch {
    Step step;
    std::vector<Job> jobs;
  };
  std::vector<Batch> batches;
  const std::vector<Fill>& fills = task.fills.fills;
  for (size_t i = 0; i < fills.size(); ++i) {
    const Fill& fill = fills[i];
    auto batch = std::ranges::find_if(batches, [&](const Batch& known) {
      return SameStep(known.step, fill.step);
    });
    if (batch == batches.end()) {
      batch = batches.insert(batch, {fill.step, {}});
    } else if (batch->jobs.size() == kBatchJobs) {
      CAISSON_RETURN_IF_ERROR(StartBatch(batch->step, batch->jobs));
      batch->jobs.clear();
    }
    Job job;
    job.src = fill.src;
    job.elems = fill.bytes / ByteWidth(fill.step.from);
    job.crc = &task.slot->crcs()[i];
    if (!IsCopied(fill)) {
      job.dst = &task.window[fill.at];
      limit_.Take(fill.bytes, setting_.stopped);
    }
    batch->jobs.push_back(job);
  }
  for (const Batch& batch : batches) {
    CAISSON_RETURN_IF_ERROR(StartBatch(batch.step, batch.jobs));
  }
  return Status::Ok();
}

Status DeviceStager::StartBatch(const Step& step, std::span<const Job> jobs) {
  return setting_.kernels.transform(
      step, jobs, {scratch_.data(), scratch_.size()}, sums_.get().stream);
}

void DeviceStager::Await(const std::shared_ptr<Task>& task) {
  PlaceFills& fills = task->fills;
  if (fills.status.ok()) {
    fills.status = setting_.runtime.Synchronize(task->slot->copied());
    if (fills.status.ok() && !task->by_host) {
      fills.status = setting_.runtime.Synchronize(task->slot->summed());
    }
    if (!fills.status.ok()) Quiesce();
  }
  if (!fills.status.ok()) return Finish(*task);
  if (task->by_host) {
    ReturnSlot(*task);
    setting_.workers.Run([this, task] {
      FinishWindow(setting_.host_kernels, task->window, task->fills);
      Finish(*task);
    });
    return;
  }
  const std::span<const uint32_t> crcs = task->slot->crcs();
  for (size_t i = 0; i < fills.fills.size(); ++i) fills.fills[i].crc = crcs[i];
  Finish(*task);
}

void DeviceStager::Finish(Task& task) {
  ReturnSlot(task);
  task.done();  // after which this object may go
}

void DeviceStager::Quiesce() {
  static_cast<void>(setting_.runtime.Synchronize(copies_.get()));
  static_cast<void>(setting_.runtime.Synchronize(sums_.get()));
}

Result<StagingSlot> DeviceStager::TakeSlot() {
  {
    const std::lock_guard hold(lock_);
    if (!slots_.empty()) {
      StagingSlot slot = std::move(slots_.back());
      slots_.pop_back();
      return slot;
    }
  }
  return StagingSlot::Create(setting_.runtime, device_);
}

void DeviceStager::ReturnSlot(Task& task) {
  if (!task.slot) return;
  const std::lock_guard hold(lock_);
  slots_.push_back(std::move(*task.slot));
  task.slot.reset();
}

Status DeviceStager::Fetch(const std::byte* src, std::span<std::byte> dst) {
  CAISSON_RETURN_IF_ERROR(
      setting_.runtime.Copy(dst.data(), src, dst.size(), copies_.get()));
  return setting_.runtime.Synchronize(copies_.get());
}

void DeviceStager::AddTo(DeviceSaveReport& report) const {
  const std::lock_guard hold(lock_);
  report.bytes += report_.bytes;
  report.crc_device_bytes += report_.crc_device_bytes;
  report.crc_host_bytes += report_.crc_host_bytes;
  if (!report_.crc_host_reason.empty()) {
    report.crc_host_reason = report_.crc_host_reason;
  }
}

}  // namespace caisson
