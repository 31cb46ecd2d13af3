// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/device_decoder.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// Jobs that take as much scratch as any of one launch.
std::vector<PlaneDecodeJob> LargestJobs() {
  PlaneDecodeJob job;
  job.chunk.mode = PlaneMode::kRaw;
  job.chunk.type = PlaneType::kFloat64;
  job.chunk.elems = PlaneChunkElems(job.chunk.type);
  job.chunk.raw_bytes =
      job.chunk.elems * uint32_t{TraitsOf(job.chunk.type).width};
  return std::vector<PlaneDecodeJob>(DeviceLanes::kBatchJobs, job);
}

}  // namespace

std::string DeviceDecoder::Reserve(size_t bytes) {
  if (no_room_.empty()) {
    const Status status = Allocate(bytes);
    if (!status.ok()) no_room_ = status.ToString();
  }
  return no_room_;
}

Status DeviceDecoder::Allocate(size_t bytes) {
  const auto grow = [&](size_t wanted, DeviceBuffer& buffer) -> Status {
    if (buffer.size() >= wanted) return Status::Ok();
    CAISSON_ASSIGN_OR_RETURN(
        buffer,
        DeviceBuffer::Allocate(lanes_.runtime(), lanes_.device(), wanted));
    return Status::Ok();
  };
  if (scratch_.empty()) {
    CAISSON_RETURN_IF_ERROR(
        grow(kernels_.plane_decode_bytes(LargestJobs()), scratch_));
  }
  for (Room& room : rooms_) {
    CAISSON_RETURN_IF_ERROR(grow(bytes, room.memory));
    if (room.decoded) continue;
    CAISSON_ASSIGN_OR_RETURN(
        room.decoded, OwnedEvent::Create(lanes_.runtime(), lanes_.device()));
  }
  return Status::Ok();
}

Status DeviceDecoder::Submit(std::span<const std::byte> window,
                             std::vector<PlaneDecodeJob> jobs,
                             StagingSlot& slot) {
  DeviceRuntime& runtime = lanes_.runtime();
  Room& room = rooms_[next_room_];
  next_room_ = (next_room_ + 1) % rooms_.size();
  const std::byte* begin = window.data() + window.size();
  const std::byte* end = window.data();
  for (const PlaneDecodeJob& job : jobs) {
    begin = std::min(begin, job.src);
    end = std::max(end, job.src + PlaneStoredBytes(job.chunk));
  }
  CAISSON_RETURN_IF_ERROR(runtime.WaitFor(lanes_.copies(), room.decoded.get()));
  // As far from the beginning as in the window, so as aligned.
  CAISSON_RETURN_IF_ERROR(
      runtime.Copy(room.memory.data() + (begin - window.data()), begin,
                   static_cast<size_t>(end - begin), lanes_.copies()));
  CAISSON_RETURN_IF_ERROR(runtime.Record(slot.copied(), lanes_.copies()));
  CAISSON_RETURN_IF_ERROR(runtime.WaitFor(lanes_.kernels(), slot.copied()));
  for (PlaneDecodeJob& job : jobs) {
    job.src = room.memory.data() + (job.src - window.data());
  }
  for (std::span<const PlaneDecodeJob> left = jobs; !left.empty();) {
    const auto some =
        left.first(std::min(left.size(), DeviceLanes::kBatchJobs));
    CAISSON_RETURN_IF_ERROR(kernels_.plane_decode(
        some, {scratch_.data(), scratch_.size()}, lanes_.kernels().stream));
    left = left.subspan(some.size());
  }
  return runtime.Record(room.decoded.get(), lanes_.kernels());
}

}  // namespace caisson
