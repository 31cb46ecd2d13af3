// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_stager.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/device/kernel_batches.h"

namespace caisson {
namespace {

// So many copies that are not asynchronous take longer than pinning.
constexpr size_t kManyFills = 256;

// Under a limit, how much is given to the link at once.
constexpr size_t kSliceBytes = size_t{1} << 20;

// Copied as it is, by the copy engine.
bool IsCopied(const Fill& fill) {
  return fill.step.op == Op::kCopy && !fill.together &&
         fill.bytes >= DeviceLanes::kCopiedBytes;
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
  CAISSON_RETURN_IF_ERROR(lanes_.Open(order));
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
  auto slot = lanes_.TakeSlot();
  if (!slot) {
    task.fills.status = slot.error();
    return;
  }
  task.slot.emplace(std::move(*slot));
  const std::string obstacle = Obstacle(task);
  task.by_host = !obstacle.empty();
  task.fills.status = task.by_host ? SubmitCopies(task) : SubmitToDevice(task);
  // A part of it may have begun.
  if (!task.fills.status.ok()) return lanes_.Quiesce();
  const uint64_t bytes = BytesOf(task.fills);
  const std::lock_guard hold(lock_);
  report_.bytes += bytes;
  (task.by_host ? report_.crc_host_bytes : report_.crc_device_bytes) += bytes;
  if (task.by_host) report_.crc_host_reason = obstacle;
}

std::string DeviceStager::Obstacle(Task& task) {
  if (!lanes_.no_scratch().empty()) return lanes_.no_scratch();
  if (!no_crcs_.empty()) return no_crcs_;
  PinnedWindows* const pinned = setting_.pinned;
  if (pinned == nullptr) return "staging memory is not pinned";
  const bool is_pinned =
      task.fills.fills.size() < kManyFills
          ? pinned->Want(setting_.runtime, lanes_.device(), task.window.data())
          : pinned->Await(setting_.runtime, lanes_.device(),
                          task.window.data());
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
        setting_.runtime.Copy(dst + at, fill.src + at, bytes, lanes_.copies()));
  }
  return Status::Ok();
}

// Everything as it is; the host does the rest.
Status DeviceStager::SubmitCopies(Task& task) {
  for (const Fill& fill : task.fills.fills) {
    CAISSON_RETURN_IF_ERROR(Copy(&task.window[fill.at], fill));
  }
  return setting_.runtime.Record(task.slot->copied(), lanes_.copies());
}

Status DeviceStager::SubmitToDevice(Task& task) {
  // The CRCs first, so that they are taken while the copies go.
  CAISSON_RETURN_IF_ERROR(StartKernels(task));
  for (const Fill& fill : task.fills.fills) {
    if (!IsCopied(fill)) continue;
    CAISSON_RETURN_IF_ERROR(Copy(&task.window[fill.at], fill));
  }
  CAISSON_RETURN_IF_ERROR(
      setting_.runtime.Record(task.slot->copied(), lanes_.copies()));
  return setting_.runtime.Record(task.slot->summed(), lanes_.kernels());
}

Status DeviceStager::StartKernels(Task& task) {
  KernelBatches batches(lanes_);
  const std::vector<Fill>& fills = task.fills.fills;
  for (size_t i = 0; i < fills.size(); ++i) {
    const Fill& fill = fills[i];
    Job job;
    job.src = fill.src;
    job.elems = fill.bytes / ByteWidth(fill.step.from);
    job.crc = &task.slot->crcs()[i];
    if (!IsCopied(fill)) {
      job.dst = &task.window[fill.at];
      limit_.Take(fill.bytes, setting_.stopped);
    }
    CAISSON_RETURN_IF_ERROR(batches.Add(fill.step, job));
  }
  return batches.Finish();
}

void DeviceStager::Await(const std::shared_ptr<Task>& task) {
  PlaceFills& fills = task->fills;
  if (fills.status.ok()) {
    fills.status = setting_.runtime.Synchronize(task->slot->copied());
    if (fills.status.ok() && !task->by_host) {
      fills.status = setting_.runtime.Synchronize(task->slot->summed());
    }
    if (!fills.status.ok()) lanes_.Quiesce();
  }
  if (!fills.status.ok()) return Finish(*task);
  if (task->by_host) {
    lanes_.ReturnSlot(task->slot);
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
  lanes_.ReturnSlot(task.slot);
  task.done();  // after which this object may go
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
