// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/read_plan.h"

#include <algorithm>
#include <optional>
#include <string>

#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "core/engine/job_batch.h"
#include "core/engine/read/record_chunks.h"
#include "core/io/file_system.h"

namespace caisson {
namespace {

// A gap of up to this is read too: a disk gives it sooner than it answers
// another call.
constexpr uint64_t kGapBytes = uint64_t{64} << 10;

// What a plan may read of a file that ends at `end`. Few storages share their
// bytes; a directory in which all of them do would fill the memory with parts.
uint64_t MostPlanned(uint64_t end) {
  constexpr uint64_t kTimes = 4;
  return std::min(end, UINT64_MAX / kTimes) * kTimes;
}

uint64_t AlignDown(uint64_t offset) {
  return offset / kDirectAlignment * kDirectAlignment;
}

uint64_t AlignUp(uint64_t offset) {
  return AlignDown(offset + kDirectAlignment - 1);
}

// How the elements of a piece move; none if windows cannot cut it.
std::optional<Step> StepFor(const ReadTask& task, const Piece& piece) {
  if (piece.encoding != Encoding::kRaw) return std::nullopt;
  const DType dtype = task.storage->dtype;
  const bool swaps = piece.order != kNativeOrder && SwapWidth(dtype) > 1;
  Step step;
  step.crc_of = CrcOf::kSource;
  if (task.kind == ReadTask::Kind::kCast) {
    if (swaps) return std::nullopt;
    step.op = Op::kConvert;
    step.from = task.from;
    step.to = task.to;
  } else if (swaps && task.kind == ReadTask::Kind::kWhole) {
    step.op = Op::kByteSwap;
    step.from = step.to = dtype;
  }
  // Windows begin at multiples of an alignment that every width divides.
  if (piece.offset % ByteWidth(step.from) != 0) return std::nullopt;
  return step;
}

bool CanSplit(const ReadTask& task) {
  return task.kind != ReadTask::Kind::kView &&
         std::ranges::all_of(task.storage->pieces, [&](const Piece& piece) {
           return StepFor(task, piece).has_value();
         });
}

}  // namespace

// A piece of a task in the file.
struct ReadPlan::Extent {
  size_t task;
  const Piece* piece;
  Step step;
  bool sum;
  uint64_t bytes;
  std::byte* dst;
};

ReadPlan::ReadPlan(std::span<ReadTask> tasks, size_t window_bytes,
                   std::vector<size_t>* rest) {
  std::vector<Extent> extents;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const ReadTask& task = tasks[i];
    if (!CanSplit(task)) {
      rest->push_back(i);
      continue;
    }
    const size_t width = std::max<size_t>(ByteWidth(task.storage->dtype), 1);
    std::byte* dst = task.dst.data();
    for (const Piece& piece : task.storage->pieces) {
      Extent extent;
      extent.task = i;
      extent.piece = &piece;
      extent.step = *StepFor(task, piece);
      extent.sum = task.check == CrcCheck::kOn && piece.crc32.has_value();
      extent.bytes = piece.elems * width;
      extent.dst = dst;
      extents.push_back(extent);
      if (dst == nullptr) continue;
      dst += extent.bytes / ByteWidth(extent.step.from) *
             ByteWidth(extent.step.to);
    }
  }
  std::ranges::stable_sort(
      extents, {}, [](const Extent& extent) { return extent.piece->offset; });
  uint64_t end = 0;
  for (const Extent& extent : extents) {
    end = std::max(end, extent.piece->offset + extent.bytes);
  }
  uint64_t left = MostPlanned(end);
  for (const Extent& extent : extents) {
    if (extent.bytes > left && tasks[extent.task].storage->pieces.size() == 1) {
      rest->push_back(extent.task);
      continue;
    }
    left -= std::min(left, extent.bytes);
    Cut(extent, window_bytes);
  }
}

void ReadPlan::Cut(const Extent& extent, size_t window_bytes) {
  const size_t first_part = parts_.size();
  std::byte* dst = extent.dst;
  uint64_t at = extent.piece->offset;
  const uint64_t end = at + extent.bytes;
  while (at < end) {
    const bool fits =
        !windows_.empty() && at >= windows_.back().offset &&
        at < windows_.back().offset + window_bytes &&
        at <= windows_.back().offset + windows_.back().bytes + kGapBytes;
    if (!fits) {
      windows_.push_back(
          {AlignDown(at), 0, parts_.size(), 0, Status::Cancelled("not read")});
    }
    ReadWindow& window = windows_.back();
    ReadPart part;
    part.step = extent.step;
    part.sum = extent.sum;
    part.offset = at;
    part.bytes =
        static_cast<size_t>(std::min(end, window.offset + window_bytes) - at);
    part.dst = dst;
    parts_.push_back(part);
    ++window.parts;
    at += part.bytes;
    window.bytes = std::max<size_t>(window.bytes, AlignUp(at) - window.offset);
    if (dst == nullptr) continue;
    dst += part.bytes / ByteWidth(part.step.from) * ByteWidth(part.step.to);
  }
  pieces_.push_back({extent.task, extent.piece, first_part, parts_.size()});
}

void ReadPlan::Finish(const ByteSource& source, std::span<ReadTask> tasks) {
  // The windows are in the order of their parts.
  size_t window = 0;
  for (const PlannedPiece& planned : pieces_) {
    ReadTask& task = tasks[planned.task];
    uint32_t crc = 0;
    bool sum = task.check == CrcCheck::kOn && planned.piece->crc32.has_value();
    for (size_t i = planned.first_part; i < planned.end_part; ++i) {
      while (i >= windows_[window].first_part + windows_[window].parts) {
        ++window;
      }
      if (task.status.ok()) task.status = windows_[window].status;
      if (sum) crc = Crc32Combine(crc, parts_[i].crc, parts_[i].bytes);
    }
    task.read.file_bytes += planned.piece->stored_bytes;
    task.read.checked = task.read.checked && sum;
    if (!task.status.ok() || !sum) continue;
    const std::string what = "record '" + task.storage->record + "'";
    task.status = CompareCrc(source, *planned.piece, crc, what);
  }
}

Status DrainParts(const KernelTable& kernels, const std::byte* image,
                  uint64_t offset, std::span<ReadPart> parts) {
  return TransformAll(kernels, parts, [&](ReadPart& part) {
    Job job;
    job.src = image + (part.offset - offset);
    job.dst = part.dst;
    job.elems = part.bytes / ByteWidth(part.step.from);
    // A kernel wants something to do.
    job.crc = part.sum || part.dst == nullptr ? &part.crc : nullptr;
    return job;
  });
}

}  // namespace caisson
