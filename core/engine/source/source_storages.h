// SPDX-License-Identifier: Apache-2.0
//
// Storages that lie in a file, for who writes them into another.
//
// Thread safety: Find() on any thread; Read() on one at a time.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/engine/read/read_task.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/write/state_parts.h"
#include "core/formats/layout.h"

namespace caisson {

// The bytes [offset, offset + dst.size()) of a storage, and where they go.
struct SourceRun {
  const StorageLayout* storage = nullptr;
  uint64_t offset = 0;
  std::span<std::byte> dst;
};

class SourceStorages {
 public:
  // Both must outlive this.
  SourceStorages(const Reader::Impl& file, ReadExecutor& reads);

  // Where the file has the storage; null for one of somebody else.
  const StorageLayout* Find(const Storage* storage) const;

  // Whether runs of it can be read, each once, and its CRC be told from them.
  static bool HasRuns(const StorageLayout& storage);

  // Fills each run's destination, in native byte order. Pieces that lie whole
  // in a run are checked, others are not. Blocks.
  //
  // REQUIRES: HasRuns() of the storage, or the run is all of it; offset and
  // size are multiples of the storage's elements.
  // Errors: those of Reader::Read.
  Status Read(std::span<const SourceRun> runs);

  // kCorrupt, naming the record, unless `crc` is that of the whole storage or
  // the file has none. Of several pieces it tells which is damaged.
  Status Compare(const StorageLayout& storage, uint32_t crc) const;

  // A copy of `state` with the storages in memory that `which` names.
  //
  // Errors: those of Reader::Read.
  Result<State> Load(const State& state, PlanReads which);

 private:
  const ByteSource& SourceOf(const Piece& piece) const;

  const Reader::Impl& file_;
  ReadExecutor& reads_;
  std::unordered_map<const Storage*, const StorageLayout*> storages_;
};

}  // namespace caisson
