// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_loader.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/codec/piece_decoder.h"
#include "core/engine/device/kernel_batches.h"

namespace caisson {
namespace {

// Copied as it is, by the copy engine.
bool IsCopied(const ReadPart& part) {
  return part.encoded == nullptr && part.step.op == Op::kCopy &&
         part.bytes >= DeviceLanes::kCopiedBytes;
}

size_t DecodedBytes(const ReadPart& part) {
  return part.elems * ByteWidth(part.step.from);
}

bool IsEncoded(const ReadPart& part) { return part.encoded != nullptr; }

uint64_t BytesOf(std::span<const ReadPart> parts) {
  uint64_t bytes = 0;
  for (const ReadPart& part : parts) bytes += part.bytes;
  return bytes;
}

}  // namespace

struct DeviceLoader::Task {
  Window window;
  std::function<void(Status)> done;
  std::optional<StagingSlot> slot;
  Status status;
  bool by_host = false;

  std::byte* ImageOf(const ReadPart& part) const {
    return &window.image[part.offset - window.offset];
  }

  // Of part `i`, which is encoded: it has no CRC.
  PlaneFault* FaultOf(size_t i) const {
    static_assert(sizeof(PlaneFault) == sizeof(uint32_t));
    return reinterpret_cast<PlaneFault*>(&slot->crcs()[i]);
  }
};

Result<std::unique_ptr<DeviceLoader>> DeviceLoader::Create(
    const DeviceSetting& setting, Device device, DeviceOrder& order) {
  std::unique_ptr<DeviceLoader> loader(new DeviceLoader(setting, device));
  CAISSON_RETURN_IF_ERROR(loader->lanes_.Open(order));
  CAISSON_ASSIGN_OR_RETURN(loader->waiter_,
                           WorkerPool::Create(1, Priority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(loader->submitter_,
                           WorkerPool::Create(1, Priority::kNormal));
  return loader;
}

DeviceLoader::~DeviceLoader() {
  submitter_.reset();
  waiter_.reset();
}

void DeviceLoader::Want(const std::byte* image) {
  if (setting_.pinned == nullptr) return;
  static_cast<void>(
      setting_.pinned->Want(setting_.runtime, lanes_.device(), image));
}

void DeviceLoader::Bring(const Window& window,
                         std::function<void(Status)> done) {
  auto task = std::make_shared<Task>();
  task->window = window;
  task->done = std::move(done);
  submitter_->Run([this, task] { Submit(task); });
}

void DeviceLoader::Submit(const std::shared_ptr<Task>& task) {
  auto slot = lanes_.TakeSlot();
  if (!slot) return Finish(*task, slot.error());
  task->slot.emplace(std::move(*slot));
  const std::string obstacle = Obstacle(*task);
  if (!obstacle.empty()) {
    NoteByHost(BytesOf(task->window.parts), obstacle);
    setting_.workers.Run(
        [this, task] { Finish(*task, BringByHost(task->window)); });
    return;
  }
  task->status = SubmitToDevice(*task);
  // A part of it may have begun.
  if (!task->status.ok()) lanes_.Quiesce();
  waiter_->Run([this, task] { Await(task); });
}

std::string DeviceLoader::Obstacle(Task& task) {
  if (!lanes_.no_scratch().empty()) return lanes_.no_scratch();
  if (!no_crcs_.empty()) return no_crcs_;
  PinnedWindows* const pinned = setting_.pinned;
  if (pinned == nullptr) return "staging memory is not pinned";
  if (!pinned->Await(setting_.runtime, lanes_.device(),
                     task.window.image.data())) {
    return pinned->report().problem;
  }
  const Status reserved = task.slot->Reserve(task.window.parts.size());
  if (!reserved.ok()) no_crcs_ = reserved.ToString();
  if (!no_crcs_.empty()) return no_crcs_;
  if (std::ranges::none_of(task.window.parts, IsEncoded)) return "";
  return decoder_.Reserve(task.window.image.size());
}

Status DeviceLoader::SubmitToDevice(Task& task) {
  CAISSON_RETURN_IF_ERROR(Decode(task));
  CAISSON_RETURN_IF_ERROR(Transform(task));
  return lanes_.runtime().Record(task.slot->summed(), lanes_.kernels());
}

// Those chunks whose sizes are right; the others have their status.
Status DeviceLoader::Decode(Task& task) {
  std::vector<PlaneDecodeJob> jobs;
  for (size_t i = 0; i < task.window.parts.size(); ++i) {
    ReadPart& part = task.window.parts[i];
    if (!IsEncoded(part)) continue;
    part.status = CheckSizes(*part.encoded, DecodedBytes(part));
    if (!part.status.ok()) continue;
    PlaneDecodeJob job;
    job.src = task.ImageOf(part);
    job.chunk = part.encoded->plane;
    job.dst = part.dst;
    job.fault = task.FaultOf(i);
    jobs.push_back(job);
  }
  if (jobs.empty()) return Status::Ok();
  return decoder_.Submit(task.window.image, std::move(jobs), *task.slot);
}

// What is not encoded.
Status DeviceLoader::Transform(Task& task) {
  DeviceRuntime& runtime = lanes_.runtime();
  bool copied = false;
  for (const ReadPart& part : task.window.parts) {
    if (!IsCopied(part)) continue;
    copied = true;
    CAISSON_RETURN_IF_ERROR(runtime.Copy(part.dst, task.ImageOf(part),
                                         part.bytes, lanes_.copies()));
  }
  if (copied) {
    CAISSON_RETURN_IF_ERROR(
        runtime.Record(task.slot->copied(), lanes_.copies()));
    CAISSON_RETURN_IF_ERROR(
        runtime.WaitFor(lanes_.kernels(), task.slot->copied()));
  }
  KernelBatches batches(lanes_);
  for (size_t i = 0; i < task.window.parts.size(); ++i) {
    const ReadPart& part = task.window.parts[i];
    if (IsEncoded(part) || (IsCopied(part) && !part.sum)) continue;
    Job job;
    job.elems = part.elems;
    job.crc = part.sum ? &task.slot->crcs()[i] : nullptr;
    if (IsCopied(part)) {
      job.src = part.dst;
    } else {
      job.src = task.ImageOf(part);
      job.dst = part.dst;
    }
    CAISSON_RETURN_IF_ERROR(batches.Add(part.step, job));
  }
  return batches.Finish();
}

void DeviceLoader::Await(const std::shared_ptr<Task>& task) {
  if (task->status.ok()) {
    task->status = lanes_.runtime().Synchronize(task->slot->summed());
    if (!task->status.ok()) lanes_.Quiesce();
  }
  if (task->status.ok()) {
    const std::span<const uint32_t> crcs = task->slot->crcs();
    for (size_t i = 0; i < task->window.parts.size(); ++i) {
      ReadPart& part = task->window.parts[i];
      if (part.sum) part.crc = crcs[i];
      if (!IsEncoded(part) || !part.status.ok()) continue;
      part.status = FaultStatus(*task->FaultOf(i));
      const std::lock_guard hold(lock_);
      if (part.status.ok()) report_.decoded_bytes += DecodedBytes(part);
    }
  }
  Finish(*task, task->status);
}

// In the window, as far as elements do not grow.
Status DeviceLoader::BringByHost(const Window& window) {
  Buffer grown;
  for (ReadPart& part : window.parts) {
    std::byte* const image = &window.image[part.offset - window.offset];
    if (IsEncoded(part)) {
      CAISSON_RETURN_IF_ERROR(DecodeByHost(part, image));
      continue;
    }
    const size_t bytes = part.elems * ByteWidth(part.step.to);
    std::byte* made = image;
    if (bytes > part.bytes) {
      if (grown.size() < bytes) {
        CAISSON_ASSIGN_OR_RETURN(grown, Buffer::Allocate(bytes));
      }
      made = grown.data();
    }
    Job job;
    job.src = image;
    job.dst = part.step.op == Op::kCopy ? nullptr : made;
    job.elems = part.elems;
    job.crc = part.sum ? &part.crc : nullptr;
    if (job.dst != nullptr || job.crc != nullptr) {
      CAISSON_RETURN_IF_ERROR(setting_.host_kernels.transform(
          part.step, std::span(&job, 1), {}, {}));
    }
    CAISSON_RETURN_IF_ERROR(Put(part.dst, {made, bytes}));
  }
  return Status::Ok();
}

Status DeviceLoader::DecodeByHost(ReadPart& part, const std::byte* image) {
  CAISSON_ASSIGN_OR_RETURN(const Buffer decoded,
                           Buffer::Allocate(DecodedBytes(part)));
  part.status = DecodePiece(setting_.host_kernels, *part.encoded,
                            {image, part.bytes}, decoded.bytes());
  if (part.status.code() == StatusCode::kCorrupt) return Status::Ok();
  CAISSON_RETURN_IF_ERROR(part.status);
  return Put(part.dst, decoded.bytes());
}

void DeviceLoader::Finish(Task& task, const Status& status) {
  lanes_.ReturnSlot(task.slot);
  task.done(status);  // after which this object may go
}

void DeviceLoader::NoteByHost(uint64_t bytes, const std::string& why) {
  const std::lock_guard hold(lock_);
  report_.host_bytes += bytes;
  report_.host_reason = why;
}

void DeviceLoader::AddTo(DeviceLoadReport& report) const {
  const std::lock_guard hold(lock_);
  report.decoded_bytes += report_.decoded_bytes;
  report.host_bytes += report_.host_bytes;
  if (!report_.host_reason.empty()) report.host_reason = report_.host_reason;
}

}  // namespace caisson
