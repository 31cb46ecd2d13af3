// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/part_writer.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/piece_encoder.h"
#include "core/engine/write/tensor_piece.h"
#include "core/engine/write/varint_piece.h"
#include "core/engine/write/window.h"
#include "core/formats/encoded_bound.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

// Moves one raw piece from memory into the window.
class PieceMover {
 public:
  PieceMover(const TensorPiece& piece, const KernelTable& kernels,
             WindowCursor& cursor)
      : piece_(piece),
        kernels_(kernels),
        cursor_(cursor),
        unit_(StepOf(piece).unit),
        step_(StepOf(piece).step) {}

  Result<PieceFacts> Run() {
    const std::span<const std::byte> src(
        piece_.storage->region.data + piece_.offset, piece_.bytes);
    size_t at = 0;
    while (at < src.size()) {
      CAISSON_ASSIGN_OR_RETURN(const std::span<std::byte> room,
                               cursor_.Room(src.size() - at));
      const size_t whole = room.size() / unit_ * unit_;
      if (whole == 0) {
        CAISSON_RETURN_IF_ERROR(PutCutUnit(src.subspan(at, unit_)));
        at += unit_;
        continue;
      }
      CAISSON_RETURN_IF_ERROR(
          Transform(src.subspan(at, whole), room.first(whole)));
      cursor_.Advance(whole);
      at += whole;
    }
    facts_.stored_bytes = src.size();
    return facts_;
  }

 private:
  Status PutCutUnit(std::span<const std::byte> src) {
    std::byte unit[kMaxElemBytes];
    CAISSON_RETURN_IF_ERROR(Transform(src, std::span(unit).first(src.size())));
    return cursor_.Put(std::span(unit).first(src.size()));
  }

  Status Transform(std::span<const std::byte> src, std::span<std::byte> dst) {
    uint32_t crc = 0;
    Job job;
    job.src = src.data();
    job.dst = dst.data();
    job.elems = src.size() / ByteWidth(step_.from);
    job.crc = &crc;
    CAISSON_RETURN_IF_ERROR(
        kernels_.transform(step_, std::span(&job, 1), {}, {}));
    facts_.crc32 = Crc32Combine(facts_.crc32, crc, dst.size());
    const size_t wanted = facts_.head.size() - head_bytes_;
    const size_t taken = std::min(wanted, dst.size());
    std::memcpy(facts_.head.data() + head_bytes_, dst.data(), taken);
    head_bytes_ += taken;
    return Status::Ok();
  }

  const TensorPiece& piece_;
  const KernelTable& kernels_;
  WindowCursor& cursor_;
  const size_t unit_;  // bytes that must be moved together
  const Step step_;
  PieceFacts facts_;
  size_t head_bytes_ = 0;
};

class PartWriter {
 public:
  PartWriter(PartStream& parts, File& file, std::span<std::byte> window,
             const KernelTable& kernels)
      : parts_(parts), file_(file), cursor_(file, window), kernels_(kernels) {}

  Result<PartTotals> Run() {
    while (true) {
      CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part, parts_.Next(Now()));
      if (!part) break;
      CAISSON_RETURN_IF_ERROR(
          std::visit([this](auto& kind) { return Write(kind); }, *part));
    }
    CAISSON_RETURN_IF_ERROR(cursor_.Flush());
    totals_.file_bytes = cursor_.offset();
    if (front_) {
      std::vector<std::byte> bytes(front_->bytes);
      CAISSON_RETURN_IF_ERROR(front_->fill(Now(), bytes));
      CAISSON_RETURN_IF_ERROR(file_.WriteAt(0, bytes));
    }
    return totals_;
  }

 private:
  Facts Now() const { return {cursor_.offset(), facts_}; }

  Status Write(const Literal& literal) { return cursor_.Put(literal.bytes); }

  Status Write(const TensorPiece& piece) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(piece));
    CAISSON_RETURN_IF_ERROR(CheckOnHost(piece));
    totals_.tensor_bytes += piece.bytes;
    if (IsVarints(piece.encoding)) {
      CAISSON_ASSIGN_OR_RETURN(
          PieceFacts facts,
          EncodeVarints(kernels_, piece, BytesOf(piece),
                        [this](std::span<const std::byte> bytes) {
                          return cursor_.Put(bytes);
                        }));
      facts_.push_back(std::move(facts));
      return Status::Ok();
    }
    if (piece.encoding != Encoding::kRaw) return WriteEncoded(piece);
    PieceMover mover(piece, kernels_, cursor_);
    CAISSON_ASSIGN_OR_RETURN(const PieceFacts facts, mover.Run());
    facts_.push_back(facts);
    return Status::Ok();
  }

  Status WriteEncoded(const TensorPiece& piece) {
    PieceFacts facts;
    uint64_t left = piece.bytes;
    const auto put = [&](std::span<const std::byte> bytes) {
      if (facts.stored_bytes < facts.head.size()) {
        const auto have = static_cast<size_t>(facts.stored_bytes);
        std::memcpy(&facts.head[have], bytes.data(),
                    std::min(facts.head.size() - have, bytes.size()));
      }
      facts.stored_bytes += bytes.size();
      facts.stored_crc32 = Crc32(facts.stored_crc32, bytes);
      return cursor_.Put(bytes);
    };
    const uint64_t most = EncodedChunkBytes(piece.encoding, piece.dtype);
    CAISSON_RETURN_IF_ERROR(EncodeAll(
        piece, kernels_,
        [&](const EncodedChunk& chunk) {
          const uint64_t bytes = std::min(left, most);
          left -= bytes;
          facts.crc32 = Crc32Combine(facts.crc32, chunk.crc32, bytes);
          facts.chunks.push_back(chunk.facts());
          return put(chunk.bytes);
        },
        put));
    facts_.push_back(std::move(facts));
    return Status::Ok();
  }

  Status Write(const Measure& measure) {
    CAISSON_RETURN_IF_ERROR(CheckWritable(measure.piece));
    CAISSON_RETURN_IF_ERROR(CheckOnHost(measure.piece));
    PieceFacts facts;
    if (IsVarints(measure.piece.encoding)) {
      CAISSON_ASSIGN_OR_RETURN(
          facts.stored_bytes,
          MeasureVarints(kernels_, measure.piece, BytesOf(measure.piece)));
    } else {
      CAISSON_ASSIGN_OR_RETURN(facts.stored_bytes,
                               MeasurePiece(measure.piece, kernels_));
    }
    facts_.push_back(facts);
    return Status::Ok();
  }

  // REQUIRES: the piece outlives it, in memory of the host.
  static PieceBytes BytesOf(const TensorPiece& piece) {
    return [&piece](uint64_t at,
                    size_t bytes) -> Result<std::span<const std::byte>> {
      const std::byte* data = piece.storage->region.data + piece.offset + at;
      return std::span(data, bytes);
    };
  }

  // Zeros hold its place until the end.
  Status Write(FrontBlock& front) {
    if (cursor_.offset() != 0 || front_) {
      return Status::InvalidArgument("a front block that is not at the front");
    }
    const std::vector<std::byte> zeros(front.bytes);
    front_ = std::move(front);
    return cursor_.Put(zeros);
  }

  Status Write(const DeferredLiteral& literal) {
    std::vector<std::byte> bytes(literal.bytes);
    CAISSON_RETURN_IF_ERROR(literal.fill(Now(), bytes));
    return cursor_.Put(bytes);
  }

  PartStream& parts_;
  File& file_;
  WindowCursor cursor_;
  const KernelTable& kernels_;
  std::vector<PieceFacts> facts_;
  std::optional<FrontBlock> front_;
  PartTotals totals_;
};

}  // namespace

Result<PartTotals> WriteParts(PartStream& parts, File& file,
                              std::span<std::byte> window) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  return PartWriter(parts, file, window, *kernels).Run();
}

}  // namespace caisson
