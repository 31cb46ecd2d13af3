// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/chunk_layer.h"

#include <memory>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/status_macros.h"
#include "core/formats/encoded_bound.h"

namespace caisson {

struct ChunkLayer::Lease {
  EncodeAhead& ahead;
  EncodeAhead::Slot* slot;

  Lease(EncodeAhead& its_ahead, EncodeAhead::Slot* its_slot)
      : ahead(its_ahead), slot(its_slot) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { ahead.Return(slot); }
};

namespace {

// So many workers encode more slowly than one thread copies, and to wake one of
// them for a copy costs more than the copy.
constexpr size_t kFewThreads = 4;

}  // namespace

ChunkLayer::ChunkLayer(const Machinery& machinery, const KernelTable& kernels,
                       PieceSource& source, SaveFacts& facts,
                       WindowFeed windows)
    : workers_(machinery.workers),
      source_(source),
      facts_(facts),
      windows_(std::move(windows)),
      ahead_(
          machinery.workers, kernels,
          [&source](const TensorPiece& piece) {
            const Region region = source.RegionOf(piece);
            return region.device.is_cpu() ? region.data : nullptr;
          },
          [this, &source](const TensorPiece& piece, uint64_t offset,
                          std::span<std::byte> dst) {
            fetched_bytes_ += dst.size();
            return source.Fetch(piece, offset, dst);
          }),
      device_chunks_(source, facts, windows_) {}

void ChunkLayer::AddTo(DeviceSaveReport& report) const {
  report.encoded_bytes += device_chunks_.decoded_bytes();
  if (fetched_bytes_ == 0) return;
  report.bytes += fetched_bytes_;
  report.crc_host_bytes += fetched_bytes_;
  report.crc_host_reason =
      "the host encodes what is compressed: " + source_.no_encoder();
}

Status ChunkLayer::Announce(std::span<const TensorPiece> pieces) {
  uint64_t bytes = 0;
  for (const TensorPiece& piece : pieces) bytes += piece.bytes;
  for (const TensorPiece& piece : pieces) {
    if (piece.bytes == 0) continue;
    CAISSON_ASSIGN_OR_RETURN(const PieceSource::Encoder by,
                             source_.EncoderOf(piece, bytes));
    if (by.encoder == nullptr) {
      ahead_.Announce(piece);
    } else {
      by.encoder->Announce(piece, source_.RegionOf(piece).data + piece.offset);
    }
  }
  return Status::Ok();
}

Status ChunkLayer::Lay(const TensorPiece& piece) {
  const size_t index = facts_.AddPiece(0);
  ChunkIndex chunks(piece.encoding);
  if (piece.bytes > 0) {
    CAISSON_ASSIGN_OR_RETURN(const PieceSource::Encoder by,
                             source_.EncoderOf(piece, piece.bytes));
    const bool is_first =
        by.encoder == nullptr ? ahead_.empty() : by.encoder->empty();
    if (is_first) CAISSON_RETURN_IF_ERROR(Announce(std::span(&piece, 1)));
    CAISSON_RETURN_IF_ERROR(by.encoder == nullptr
                                ? LayFromHost(piece, index, chunks)
                                : device_chunks_.Lay(by, piece, index, chunks));
  }
  return LayIndex(chunks.Finish(), index);
}

Status ChunkLayer::LayFromHost(const TensorPiece& piece, size_t index,
                               ChunkIndex& chunks) {
  if (!ahead_.IsNext(piece)) {
    return Status::InvalidArgument("an encoded piece out of turn");
  }
  const uint64_t count =
      EncodedChunks(piece.encoding, piece.dtype, piece.bytes);
  for (uint64_t i = 0; i < count; ++i) {
    CAISSON_ASSIGN_OR_RETURN(EncodeAhead::Slot* const slot, ahead_.Next());
    chunks.Add(slot->chunk);
    seconds_ += slot->seconds;
    CAISSON_RETURN_IF_ERROR(LayChunk(slot, index));
  }
  return Status::Ok();
}

Status ChunkLayer::LayChunk(EncodeAhead::Slot* slot, size_t piece) {
  auto lease = std::make_shared<Lease>(ahead_, slot);
  facts_.AddChunk(piece, slot->chunk.facts(), slot->decoded_bytes);
  std::span<const std::byte> left = slot->chunk.bytes;
  while (!left.empty()) {
    CAISSON_ASSIGN_OR_RETURN(WindowImage* const window, windows_.current());
    uint32_t* crc = nullptr;
    const auto dst = TakePlace(*window, piece, left.size(), &crc);
    const auto src = left.first(dst.size());
    left = left.subspan(dst.size());
    if (workers_.threads() <= kFewThreads) {
      *crc = Crc32Copy(0, src, dst.data());
      continue;
    }
    ++window->unfilled;
    workers_.Run([this, lease, window, crc, src, dst]() mutable {
      *crc = Crc32Copy(0, src, dst.data());
      lease.reset();
      windows_.done(window);
    });
  }
  return Status::Ok();
}

Status ChunkLayer::LayIndex(std::span<const std::byte> index, size_t piece) {
  facts_.AddStored(piece, index.size());
  while (!index.empty()) {
    CAISSON_ASSIGN_OR_RETURN(WindowImage* const window, windows_.current());
    uint32_t* crc = nullptr;
    const auto dst = TakePlace(*window, piece, index.size(), &crc);
    *crc = Crc32Copy(0, index.first(dst.size()), dst.data());
    index = index.subspan(dst.size());
  }
  return Status::Ok();
}

}  // namespace caisson
