// SPDX-License-Identifier: Apache-2.0
#include "core/engine/source/source_storages.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/base/endian.h"
#include "core/base/state_clone.h"
#include "core/base/status_macros.h"
#include "core/engine/read/record_chunks.h"
#include "core/engine/read/resident.h"
#include "core/engine/read/storage_crc.h"

namespace caisson {
namespace {

// The layout of a storage of which no more than the run exists.
StorageLayout LayoutOf(const SourceRun& run) {
  const StorageLayout& whole = *run.storage;
  const size_t width = std::max<size_t>(ByteWidth(whole.dtype), 1);
  const uint64_t end = run.offset + run.dst.size();
  StorageLayout layout;
  layout.record = whole.record;
  layout.dtype = whole.dtype;
  layout.bytes = run.dst.size();
  auto it = std::ranges::upper_bound(whole.pieces, run.offset / width, {},
                                     &Piece::first_elem);
  if (it != whole.pieces.begin()) --it;
  for (; it != whole.pieces.end() && it->first_elem * width < end; ++it) {
    const uint64_t begin = it->first_elem * width;
    const uint64_t from = std::max(run.offset, begin);
    const uint64_t to = std::min(end, begin + it->elems * width);
    if (from >= to) continue;
    Piece part = *it;
    part.offset += from - begin;
    part.stored_bytes = to - from;
    part.first_elem = (from - run.offset) / width;
    part.elems = (to - from) / width;
    if (to - from != it->elems * width) part.crc32.reset();
    layout.pieces.push_back(part);
  }
  return layout;
}

}  // namespace

SourceStorages::SourceStorages(const Reader::Impl& file, ReadExecutor& reads)
    : file_(file), reads_(reads) {
  for (const StorageLayout& storage : file.layout.storages) {
    storages_.emplace(storage.handle.get(), &storage);
  }
}

const StorageLayout* SourceStorages::Find(const Storage* storage) const {
  const auto found = storages_.find(storage);
  return found == storages_.end() ? nullptr : found->second;
}

// What is written is little-endian, and so must be what the CRC is of.
bool SourceStorages::HasRuns(const StorageLayout& storage) {
  if (storage.pieces.empty()) return false;
  return std::ranges::all_of(storage.pieces, [&](const Piece& piece) {
    return piece.encoding == Encoding::kRaw &&
           (piece.order == ByteOrder::kLittle || SwapWidth(storage.dtype) <= 1);
  });
}

Status SourceStorages::Read(std::span<const SourceRun> runs) {
  std::vector<StorageLayout> layouts;
  layouts.reserve(runs.size());  // tasks point to them
  std::vector<ReadTask> tasks;
  tasks.reserve(runs.size());
  for (const SourceRun& run : runs) {
    ReadTask task;
    task.storage = run.storage;
    if (run.dst.size() != run.storage->bytes) {
      layouts.push_back(LayoutOf(run));
      task.storage = &layouts.back();
    }
    task.dst = run.dst;
    tasks.push_back(task);
  }
  return file_.Run(tasks, reads_, OnError::kStop);
}

Status SourceStorages::Compare(const StorageLayout& storage,
                               uint32_t crc) const {
  const std::optional<uint32_t> expected = CrcOf(storage);
  if (!expected || *expected == crc) return Status::Ok();
  const Piece& first = storage.pieces.front();
  if (storage.pieces.size() == 1) {
    return CompareCrc(SourceOf(first), first, crc, storage.record);
  }
  // Which of them it is takes another look.
  for (size_t i = 0; i < storage.pieces.size(); ++i) {
    const Piece& piece = storage.pieces[i];
    CAISSON_RETURN_IF_ERROR(
        CheckPiece(SourceOf(piece), piece, storage.dtype, PieceName(storage, i))
            .status());
  }
  return SourceOf(first).Corrupt(first.offset, PieceName(storage, 0),
                                 "damaged while it was read");
}

const ByteSource& SourceStorages::SourceOf(const Piece& piece) const {
  return piece.source == 0 ? file_.source : file_.shards[piece.source - 1];
}

Result<State> SourceStorages::Load(const State& state, PlanReads which) {
  if (which == PlanReads::kNothing) return state;
  CAISSON_ASSIGN_OR_RETURN(const auto tensors, state.Tensors());
  std::unordered_set<const Storage*> wanted;
  for (const NamedTensor& tensor : tensors) {
    const TensorView& view = *tensor.view;
    if (view.storage->resident()) continue;
    if (which == PlanReads::kStrided && view.contiguous()) continue;
    wanted.insert(view.storage.get());
  }
  std::vector<SourceRun> runs;
  Status allocated;
  State loaded = state;
  loaded.root =
      CloneTree(state.root, [&](const StorageHandle& storage) -> StorageHandle {
        const StorageLayout* const layout = Find(storage.get());
        if (layout == nullptr || !wanted.contains(storage.get())) {
          return storage;
        }
        auto copy = std::make_shared<Storage>(*storage);
        if (allocated.ok()) allocated = MakeResident(*copy);
        runs.push_back({layout, 0, {copy->region.data, copy->region.bytes}});
        return copy;
      });
  CAISSON_RETURN_IF_ERROR(allocated);
  CAISSON_RETURN_IF_ERROR(Read(runs));
  return loaded;
}

}  // namespace caisson
