// SPDX-License-Identifier: Apache-2.0
//
// Tensors whose chunks are blocks of several dimensions, as if they lay whole
// in one file: what is read of it is put together from the chunks. A chunk's
// rows follow each other where it is stored, so that a window of the tensor
// takes one read of each chunk that has a part of it.
//
// Chunks that are compressed check themselves. Of others a call takes the CRC
// of what it reads, and compares it once it read all bytes of the chunk.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/device/buffer.h"
#include "core/engine/read/read_task.h"
#include "core/formats/dcp/chunk_rows.h"
#include "core/formats/layout.h"

namespace caisson {

// A chunk where it is stored.
struct StoredChunk {
  StorageLayout storage;
  TensorView view;  // of it, with the chunk's sizes
};

// Whether the storage is the chunk's elements in row-major order, and no more.
bool IsDense(const StoredChunk& chunk);

// Filled by one thread, then read by any number.
class ChunkedTensors final : public AdapterPerCall {
 public:
  explicit ChunkedTensors(std::string name) : name_(std::move(name)) {}

  struct Block {
    std::vector<int64_t> offsets;
    std::vector<int64_t> sizes;
    StoredChunk stored;
  };

  // Adds a tensor, in native byte order; returns where it begins. `blocks`
  // cover it, each element once, and may be empty.
  //
  // REQUIRES: their dtypes are `dtype`, which fills whole bytes.
  // Errors: kCorrupt if there are more than 2^63 bytes of them all.
  Result<uint64_t> Add(DType dtype, const std::vector<int64_t>& shape,
                       std::vector<Block> blocks);

  // The files that pieces lie in: Layout::sources from [1] on. To be given
  // before the first Read(), and outlives this.
  void SetFiles(std::vector<ByteSource> files) { files_ = std::move(files); }

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }

  // Errors: those of the chunks' files, which they name.
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;

  // The same, which compares CRCs, of what is read through it alone.
  std::shared_ptr<const ReadAdapter> ForCall() const override;

 private:
  class Call;
  struct Chunk {
    StoredChunk stored;
    bool in_runs;  // any bytes of it can be read alone
    dcp::ChunkRows rows;
    bool has_crc;  // to compare; false if there is none or it checks itself
  };
  struct Tensor {
    uint64_t begin;
    uint64_t bytes;
    size_t width;
    std::vector<Chunk> chunks;
  };

  // `call`, here and below: whose CRCs are taken; null for nobody's.
  Result<size_t> ReadFor(const Call* call, uint64_t offset,
                         std::span<std::byte> dst) const;
  Status ReadTensor(const Call* call, const Tensor& tensor, uint64_t offset,
                    std::span<std::byte> dst) const;
  Status ReadRows(const Call* call, const Tensor& tensor, const Chunk& chunk,
                  uint64_t offset, std::span<std::byte> dst) const;
  Status ReadChunk(const Call* call, const Chunk& chunk, uint64_t offset,
                   std::span<std::byte> dst) const;
  Result<std::shared_ptr<const Buffer>> Gathered(const Chunk& chunk) const;
  const ByteSource& FileOf(const Chunk& chunk) const;

  const std::string name_;
  uint64_t size_ = 0;
  std::vector<Tensor> tensors_;  // in order of begin
  std::vector<ByteSource> files_;

  // Chunks that had to be read whole, the latest last.
  using Gathering = std::pair<const Chunk*, std::shared_ptr<const Buffer>>;
  mutable std::mutex lock_;
  mutable std::vector<Gathering> gathered_;
};

}  // namespace caisson
