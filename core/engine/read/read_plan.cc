// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/read_plan.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/piece_decoder.h"
#include "core/engine/job_batch.h"
#include "core/engine/read/record_chunks.h"
#include "core/io/file_system.h"

namespace caisson {
namespace {

// A gap of up to this is read too: a disk gives it sooner than it answers
// another call.
constexpr uint64_t kGapBytes = uint64_t{64} << 10;

// Of an encoded piece, as stored and decoded: as much as each worker may take
// for a moment.
constexpr uint64_t kMostChunkBytes = uint64_t{4} << 20;

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

uint64_t DecodedBytes(const ReadTask& task, const Piece& piece) {
  return piece.elems * std::max<size_t>(ByteWidth(task.storage->dtype), 1);
}

// Which encoded pieces a plan takes.
struct EncodedLimit {
  ReadPlan::Encoded which;
  uint64_t most_bytes;  // stored and decoded

  bool Takes(const ReadTask& task, const Piece& piece) const {
    const bool known = which == ReadPlan::Encoded::kAll
                           ? CanDecode(piece.encoding)
                           : piece.encoding == Encoding::kPlane;
    // Without a byte there is nothing that a window could hold.
    return known && piece.stored_bytes > 0 &&
           std::max(piece.stored_bytes, DecodedBytes(task, piece)) <=
               most_bytes;
  }
};

// How the elements of a piece move; none if windows cannot cut it.
std::optional<Step> StepFor(const ReadTask& task, const Piece& piece,
                            const EncodedLimit& limit) {
  const bool raw = piece.encoding == Encoding::kRaw;
  if (!raw && !limit.Takes(task, piece)) return std::nullopt;
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
  if (!raw && limit.which == ReadPlan::Encoded::kPlanes &&
      step.op != Op::kCopy) {
    return std::nullopt;
  }
  // Windows begin at multiples of an alignment that every width divides.
  if (raw && piece.offset % ByteWidth(step.from) != 0) return std::nullopt;
  return step;
}

// Whether the CRC of its bytes is to be taken and compared.
bool Sums(const ReadTask& task, const Piece& piece) {
  return task.check == CrcCheck::kOn && piece.crc32.has_value() &&
         !ChecksItself(piece);
}

bool CanSplit(const ReadTask& task, const EncodedLimit& limit) {
  return task.kind != ReadTask::Kind::kView &&
         std::ranges::all_of(task.storage->pieces, [&](const Piece& piece) {
           return StepFor(task, piece, limit).has_value();
         });
}

// Decodes a part, whose stored bytes are `src`, into `dst` of `bytes`.
Status Decode(const KernelTable& kernels, ReadPart& part,
              std::span<const std::byte> src) {
  const size_t bytes = part.elems * ByteWidth(part.step.from);
  const bool in_place = part.dst != nullptr && part.step.op != Op::kConvert;
  std::unique_ptr<std::byte[]> scratch;
  if (!in_place) {
    scratch.reset(new (std::nothrow) std::byte[bytes]);
    if (scratch == nullptr) {
      return Status::OutOfMemory("a chunk of " + std::to_string(bytes) +
                                 " bytes");
    }
  }
  std::byte* const decoded = in_place ? part.dst : scratch.get();
  const bool moves = part.step.op != Op::kCopy && part.dst != nullptr;
  part.status = DecodePiece(kernels, *part.encoded, src, {decoded, bytes});
  if (part.status.code() == StatusCode::kCorrupt) return Status::Ok();
  CAISSON_RETURN_IF_ERROR(part.status);
  if (!moves && !part.sum) return Status::Ok();
  Job job;
  job.src = decoded;
  job.dst = moves ? part.dst : nullptr;
  job.elems = moves ? part.elems : bytes;
  job.crc = part.sum ? &part.crc : nullptr;
  Step step = part.step;
  if (!moves) step.op = Op::kCopy, step.from = step.to = DType::kUInt8;
  return kernels.transform(step, std::span(&job, 1), {}, {});
}

}  // namespace

// A piece of a task in the file.
struct ReadPlan::Extent {
  size_t task;
  const Piece* piece;
  Step step;
  bool sum;
  uint64_t bytes;  // in the file
  uint64_t elems;  // of Step::from
  std::byte* dst;

  bool encoded() const { return piece->encoding != Encoding::kRaw; }
};

ReadPlan::ReadPlan(std::span<ReadTask> tasks, size_t window_bytes,
                   Encoded encoded, std::vector<size_t>* rest) {
  // A chunk lies in one window, which begins at its first block.
  const EncodedLimit limit = {
      encoded, window_bytes > 2 * kDirectAlignment
                   ? std::min<uint64_t>(window_bytes - 2 * kDirectAlignment,
                                        kMostChunkBytes)
                   : 0};
  std::vector<Extent> extents;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const ReadTask& task = tasks[i];
    if (!CanSplit(task, limit)) {
      rest->push_back(i);
      continue;
    }
    std::byte* dst = task.dst.data();
    for (const Piece& piece : task.storage->pieces) {
      Extent extent;
      extent.task = i;
      extent.piece = &piece;
      extent.step = *StepFor(task, piece, limit);
      extent.sum = Sums(task, piece);
      const uint64_t decoded = DecodedBytes(task, piece);
      extent.bytes = extent.encoded() ? piece.stored_bytes : decoded;
      extent.elems = decoded / ByteWidth(extent.step.from);
      extent.dst = dst;
      extents.push_back(extent);
      if (dst == nullptr) continue;
      dst += extent.elems * ByteWidth(extent.step.to);
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
    // What a window has to hold of it at the least.
    const uint64_t least = extent.encoded() ? extent.bytes : 1;
    const bool fits =
        !windows_.empty() && at >= windows_.back().offset &&
        at + least <= windows_.back().offset + window_bytes &&
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
    part.encoded = extent.encoded() ? extent.piece : nullptr;
    part.elems = extent.encoded() ? static_cast<size_t>(extent.elems)
                                  : part.bytes / ByteWidth(part.step.from);
    parts_.push_back(part);
    ++window.parts;
    at += part.bytes;
    window.bytes = std::max<size_t>(window.bytes, AlignUp(at) - window.offset);
    if (dst == nullptr) continue;
    dst += part.elems * ByteWidth(part.step.to);
  }
  pieces_.push_back({extent.task, extent.piece, first_part, parts_.size()});
}

void ReadPlan::Finish(const ByteSource& source, std::span<ReadTask> tasks) {
  // The windows are in the order of their parts.
  size_t window = 0;
  for (const PlannedPiece& planned : pieces_) {
    ReadTask& task = tasks[planned.task];
    uint32_t crc = 0;
    const bool sum = Sums(task, *planned.piece);
    const std::string what =
        PieceName(*task.storage, planned.piece - task.storage->pieces.data());
    for (size_t i = planned.first_part; i < planned.end_part; ++i) {
      while (i >= windows_[window].first_part + windows_[window].parts) {
        ++window;
      }
      if (task.status.ok()) task.status = windows_[window].status;
      if (task.status.ok() && !parts_[i].status.ok()) {
        task.status = source.Corrupt(planned.piece->offset, what,
                                     parts_[i].status.message());
      }
      if (sum) crc = Crc32Combine(crc, parts_[i].crc, parts_[i].bytes);
    }
    task.read.file_bytes += planned.piece->stored_bytes;
    task.read.checked =
        task.read.checked && (sum || ChecksItself(*planned.piece));
    if (!task.status.ok() || !sum) continue;
    task.status = CompareCrc(source, *planned.piece, crc, what);
  }
}

Status DrainParts(const KernelTable& kernels, const std::byte* image,
                  uint64_t offset, std::span<ReadPart> parts) {
  while (!parts.empty()) {
    if (parts[0].encoded != nullptr) {
      CAISSON_RETURN_IF_ERROR(
          Decode(kernels, parts[0],
                 {image + (parts[0].offset - offset), parts[0].bytes}));
      parts = parts.subspan(1);
      continue;
    }
    size_t raw = 1;
    while (raw < parts.size() && parts[raw].encoded == nullptr) ++raw;
    CAISSON_RETURN_IF_ERROR(
        TransformAll(kernels, parts.first(raw), [&](ReadPart& part) {
          Job job;
          job.src = image + (part.offset - offset);
          job.dst = part.dst;
          job.elems = part.elems;
          // A kernel wants something to do.
          job.crc = part.sum || part.dst == nullptr ? &part.crc : nullptr;
          return job;
        }));
    parts = parts.subspan(raw);
  }
  return Status::Ok();
}

}  // namespace caisson
