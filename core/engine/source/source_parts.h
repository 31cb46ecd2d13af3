// SPDX-License-Identifier: Apache-2.0
//
// The parts of a file whose storages lie in another file. They are read while
// what came before them is written, a slab of memory ahead: little memory is
// needed, whatever the size of the file.
//
// A storage that is not stored as it is wanted (compressed, of another byte
// order, or wanted in part) is read whole instead, when its turn comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/device/staging_pool.h"
#include "core/engine/source/source_storages.h"
#include "core/engine/worker_pool.h"
#include "core/formats/format.h"

namespace caisson {

class SourceParts final : public PartStream {
 public:
  // `window_bytes`: of the windows that the parts are laid into. `source` must
  // outlive this.
  //
  // Errors: kOutOfMemory; kUnavailable if the system gives no thread.
  static Result<std::unique_ptr<SourceParts>> Create(
      std::unique_ptr<PartStream> parts, SourceStorages& source,
      size_t window_bytes);

  // Waits for what is being read.
  ~SourceParts() override { reader_.reset(); }

  // Errors: also those of SourceStorages::Read() and Compare().
  Result<std::optional<Part>> Next(const Facts& facts) override;

  uint64_t BytesBound() const override { return parts_->BytesBound(); }

 private:
  // Parts whose bytes are read together.
  struct Batch {
    std::vector<Part> parts;
    std::vector<SourceRun> runs;
    std::future<Status> read;
    bool full = false;
    bool barrier = false;  // what comes next depends on what becomes of these
    bool last = false;
  };

  // A piece that goes on in the next batch.
  struct Cut {
    TensorPiece piece;
    const StorageLayout* storage = nullptr;
    uint64_t at = 0;  // what of it was given
  };

  // Which pieces a piece of parts_ was cut into.
  struct Origin {
    size_t first = 0;
    size_t count = 0;
    const StorageLayout* whole = nullptr;  // whose CRC they have together
    bool told = false;  // something of it, before its turn comes
  };

  using Slab = std::shared_ptr<StagingPool::Block>;

  SourceParts(std::unique_ptr<PartStream> parts, SourceStorages& source,
              StagingPool slabs, std::unique_ptr<WorkerPool> reader)
      : parts_(std::move(parts)),
        source_(source),
        slabs_(std::move(slabs)),
        reader_(std::move(reader)) {}

  Status StartBatch();
  Status Add(Part part, Batch& batch);
  Status AddPiece(TensorPiece piece, Batch& batch);
  Status AddRuns(Batch& batch);
  Result<StorageHandle> Loaded(const StorageHandle& storage,
                               const StorageLayout& layout, Batch& batch);
  void Pass(TensorPiece piece, Batch& batch);
  void StartReading(Batch& batch);

  // Adds up what is known of the pieces of the first `count` origins.
  Status Combine(std::span<const PieceFacts> pieces, size_t count);

  const std::unique_ptr<PartStream> parts_;
  SourceStorages& source_;
  StagingPool slabs_;

  uint64_t cursor_ = 0;  // behind the parts that were asked for
  Slab slab_;            // the one that is being filled; null: none
  size_t slab_used_ = 0;
  std::optional<Cut> cut_;
  const Storage* loaded_of_ = nullptr;
  StorageHandle loaded_;  // the last one that was read whole

  std::deque<Part> ready_;
  std::optional<Batch> ahead_;
  bool ended_ = false;

  size_t pieces_ = 0;            // that were given
  std::vector<Origin> origins_;  // of each piece and measure of parts_
  size_t told_ = 0;  // of origins_, those looked at for what is told
  std::vector<PieceFacts> combined_;  // parallel to origins_
  size_t combined_count_ = 0;         // of those that are final

  std::unique_ptr<WorkerPool> reader_;  // ends first
};

}  // namespace caisson
