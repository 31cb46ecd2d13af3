// SPDX-License-Identifier: Apache-2.0
#include "core/engine/source/source_parts.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "caisson/crc32.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/engine/read/resident.h"

namespace caisson {
namespace {

// A slab has the size of a window, and is half full of runs at the least, which
// are aligned to their elements. So a window that is not full yet holds on to
// three of them; one is given out, one is read into, one is to spare.
constexpr size_t kSlabs = 6;

// Where less is left of a slab, it is full: the first run of a piece must have
// the bytes of PieceFacts::head, and no element be cut.
constexpr size_t kLeastRun = 64;

bool IsLittle(const TensorPiece& piece) {
  return piece.order == ByteOrder::kLittle || SwapWidth(piece.dtype) <= 1;
}

}  // namespace

Result<std::unique_ptr<SourceParts>> SourceParts::Create(
    std::unique_ptr<PartStream> parts, SourceStorages& source,
    size_t window_bytes) {
  CAISSON_ASSIGN_OR_RETURN(StagingPool slabs,
                           StagingPool::Create(window_bytes, kSlabs));
  CAISSON_ASSIGN_OR_RETURN(auto reader,
                           WorkerPool::Create(1, Priority::kNormal));
  return std::unique_ptr<SourceParts>(new SourceParts(
      std::move(parts), source, std::move(slabs), std::move(reader)));
}

Result<std::optional<Part>> SourceParts::Next(const Facts& facts) {
  while (ready_.empty()) {
    if (!ahead_) {
      if (ended_) return std::optional<Part>();
      cursor_ = facts.cursor;
      for (; told_ < origins_.size(); ++told_) {
        const Origin& origin = origins_[told_];
        if (origin.told) combined_[told_] = facts.pieces[origin.first];
      }
      CAISSON_RETURN_IF_ERROR(StartBatch());
    }
    Batch batch = std::move(*ahead_);
    ahead_.reset();
    CAISSON_RETURN_IF_ERROR(batch.read.get());
    std::ranges::move(batch.parts, std::back_inserter(ready_));
    ended_ = batch.last;
    if (!ended_ && !batch.barrier) CAISSON_RETURN_IF_ERROR(StartBatch());
  }
  std::optional<Part> part = std::move(ready_.front());
  ready_.pop_front();
  return part;
}

Status SourceParts::StartBatch() {
  Batch batch;
  // Until there is a slab to read.
  while (!batch.full && !batch.barrier && !batch.last) {
    if (cut_) {
      CAISSON_RETURN_IF_ERROR(AddRuns(batch));
      continue;
    }
    CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part,
                             parts_->Next({cursor_, combined_}));
    if (part) {
      CAISSON_RETURN_IF_ERROR(Add(std::move(*part), batch));
      continue;
    }
    batch.last = true;
    // Nothing is stored, but the CRCs of all pieces are compared.
    const auto check = [this](const Facts& known, std::span<std::byte>) {
      return Combine(known.pieces, origins_.size());
    };
    batch.parts.push_back(DeferredLiteral{0, check});
  }
  StartReading(batch);
  ahead_ = std::move(batch);
  return Status::Ok();
}

Status SourceParts::Add(Part part, Batch& batch) {
  if (auto* piece = std::get_if<TensorPiece>(&part)) {
    return AddPiece(std::move(*piece), batch);
  }
  if (auto* measure = std::get_if<Measure>(&part)) {
    StorageHandle& storage = measure->piece.storage;
    const StorageLayout* const layout = source_.Find(storage.get());
    if (layout != nullptr) {
      CAISSON_ASSIGN_OR_RETURN(storage, Loaded(storage, *layout, batch));
    }
    origins_.push_back({pieces_++, 1, nullptr, true});
    combined_.emplace_back();
    batch.barrier = true;
  } else if (auto* front = std::get_if<FrontBlock>(&part)) {
    cursor_ += front->bytes;
    front->fill = [this, fill = std::move(front->fill)](
                      const Facts& known, std::span<std::byte> dst) {
      CAISSON_RETURN_IF_ERROR(Combine(known.pieces, origins_.size()));
      return fill({known.cursor, combined_}, dst);
    };
  } else if (auto* deferred = std::get_if<DeferredLiteral>(&part)) {
    cursor_ += deferred->bytes;
    deferred->fill = [this, count = origins_.size(),
                      fill = std::move(deferred->fill)](
                         const Facts& known, std::span<std::byte> dst) {
      CAISSON_RETURN_IF_ERROR(Combine(known.pieces, count));
      return fill({known.cursor, std::span(combined_).first(count)}, dst);
    };
  } else {
    cursor_ += std::get<Literal>(part).bytes.size();
  }
  batch.parts.push_back(std::move(part));
  return Status::Ok();
}

Status SourceParts::AddPiece(TensorPiece piece, Batch& batch) {
  const bool raw = piece.encoding == Encoding::kRaw;
  origins_.push_back({pieces_, 0, nullptr, !raw});
  combined_.emplace_back();
  combined_.back().stored_bytes = piece.bytes;
  if (raw) cursor_ += piece.bytes;
  batch.barrier = !raw;
  const StorageLayout* const layout =
      piece.storage->resident() ? nullptr : source_.Find(piece.storage.get());
  if (layout == nullptr) {
    Pass(std::move(piece), batch);
    return Status::Ok();
  }
  const bool whole = piece.offset == 0 && piece.bytes == layout->bytes;
  if (raw && whole && IsLittle(piece) && SourceStorages::HasRuns(*layout)) {
    origins_.back().whole = layout;
    cut_ = Cut{std::move(piece), layout};
    return Status::Ok();
  }
  CAISSON_ASSIGN_OR_RETURN(piece.storage,
                           Loaded(piece.storage, *layout, batch));
  piece.held = true;
  Pass(std::move(piece), batch);
  return Status::Ok();
}

// As much of the cut piece as the slab has room for.
Status SourceParts::AddRuns(Batch& batch) {
  Cut& cut = *cut_;
  const size_t width = std::max<size_t>(ByteWidth(cut.storage->dtype), 1);
  if (slab_ == nullptr) {
    CAISSON_ASSIGN_OR_RETURN(StagingPool::Block block, slabs_.Lease());
    slab_ = std::make_shared<StagingPool::Block>(std::move(block));
    slab_used_ = 0;
  }
  slab_used_ = (slab_used_ + width - 1) / width * width;
  const size_t room = (slab_->size() - slab_used_) / width * width;
  const uint64_t bytes = std::min<uint64_t>(room, cut.piece.bytes - cut.at);

  TensorPiece run = cut.piece;
  run.storage = std::make_shared<Storage>(*cut.piece.storage);
  run.storage->region.data = slab_->data() + slab_used_;
  run.storage->region.bytes = bytes;
  run.storage->owner = slab_;
  run.bytes = bytes;
  run.held = true;
  batch.runs.push_back(
      {cut.storage, cut.at, {run.storage->region.data, bytes}});
  Pass(std::move(run), batch);

  slab_used_ += bytes;
  cut.at += bytes;
  if (cut.at == cut.piece.bytes) cut_.reset();
  if (slab_->size() - slab_used_ < kLeastRun) {
    slab_.reset();
    batch.full = true;
  }
  return Status::Ok();
}

// `storage` in memory; the next batch may want it too.
Result<StorageHandle> SourceParts::Loaded(const StorageHandle& storage,
                                          const StorageLayout& layout,
                                          Batch& batch) {
  if (loaded_of_ != storage.get()) {
    auto copy = std::make_shared<Storage>(*storage);
    CAISSON_RETURN_IF_ERROR(MakeResident(*copy));
    batch.runs.push_back({&layout, 0, {copy->region.data, copy->region.bytes}});
    loaded_of_ = storage.get();
    loaded_ = std::move(copy);
    batch.full = batch.full || layout.bytes >= slabs_.block_bytes();
  }
  return loaded_;
}

void SourceParts::Pass(TensorPiece piece, Batch& batch) {
  ++pieces_;
  ++origins_.back().count;
  batch.parts.push_back(std::move(piece));
}

void SourceParts::StartReading(Batch& batch) {
  auto task = std::make_shared<std::packaged_task<Status()>>(
      [this, runs = std::move(batch.runs)] { return source_.Read(runs); });
  batch.read = task->get_future();
  reader_->Run([task] { (*task)(); });
}

Status SourceParts::Combine(std::span<const PieceFacts> pieces, size_t count) {
  for (; combined_count_ < count; ++combined_count_) {
    const Origin& origin = origins_[combined_count_];
    PieceFacts facts = pieces[origin.first];
    for (size_t i = 1; i < origin.count; ++i) {
      const PieceFacts& next = pieces[origin.first + i];
      facts.crc32 = Crc32Combine(facts.crc32, next.crc32, next.stored_bytes);
      facts.stored_bytes += next.stored_bytes;
    }
    combined_[combined_count_] = facts;
    if (origin.whole != nullptr) {
      CAISSON_RETURN_IF_ERROR(source_.Compare(*origin.whole, facts.crc32));
    }
  }
  return Status::Ok();
}

}  // namespace caisson
