// SPDX-License-Identifier: Apache-2.0
#include "core/engine/dcp/chunked_tensors.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <unordered_map>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/engine/dcp/run_crc.h"
#include "core/engine/read/record_chunks.h"
#include "core/engine/read/storage_io.h"

namespace caisson {
namespace {

// Tensors begin at multiples of it, as in archives.
constexpr uint64_t kAlignment = 64;

// An encoded piece of more than this is decoded once and kept for a while.
constexpr uint64_t kMostDecoded = uint64_t{8} << 20;

// What is kept of chunks that are read whole.
constexpr uint64_t kMostGathered = uint64_t{256} << 20;

bool HasLongPieces(const StorageLayout& storage) {
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  return std::ranges::any_of(storage.pieces, [&](const Piece& piece) {
    return piece.encoding != Encoding::kRaw &&
           piece.elems * width > kMostDecoded;
  });
}

// Whether the CRC of what is read of it, in memory, is that of the file.
bool HasCrc(const StorageLayout& storage) {
  if (storage.pieces.size() != 1) return false;
  const Piece& piece = storage.pieces.front();
  return piece.encoding == Encoding::kRaw && piece.crc32.has_value() &&
         (piece.order == kNativeOrder || SwapWidth(storage.dtype) <= 1);
}

}  // namespace

// What one call reads. A CRC of chunks that others had a part in would not be
// of the bytes that this call gives.
class ChunkedTensors::Call final : public ReadAdapter {
 public:
  explicit Call(const ChunkedTensors& tensors) : tensors_(tensors) {}

  const std::string& name() const override { return tensors_.name(); }
  uint64_t size() const override { return tensors_.size(); }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    return tensors_.ReadFor(this, offset, dst);
  }

  RunCrc& CrcOf(const Chunk& chunk) const {
    const std::lock_guard lock(lock_);
    return crcs_.try_emplace(&chunk, chunk.stored.storage.bytes).first->second;
  }

 private:
  const ChunkedTensors& tensors_;
  mutable std::mutex lock_;
  mutable std::unordered_map<const Chunk*, RunCrc> crcs_;
};

bool IsDense(const StoredChunk& chunk) {
  return chunk.view.offset == 0 && chunk.view.contiguous() &&
         chunk.view.spec.bytes() == chunk.storage.bytes;
}

Result<uint64_t> ChunkedTensors::Add(DType dtype,
                                     const std::vector<int64_t>& shape,
                                     std::vector<Block> blocks) {
  const auto elems = CheckedElems(shape);
  const auto bytes =
      elems ? CheckedMul(*elems, ByteWidth(dtype)) : std::nullopt;
  const uint64_t begin = (size_ + kAlignment - 1) / kAlignment * kAlignment;
  const auto end = bytes ? CheckedAdd(begin, *bytes) : std::nullopt;
  if (!end || *end > static_cast<uint64_t>(INT64_MAX)) {
    return Status::Corrupt("tensors of more than 2^63 bytes");
  }
  Tensor tensor{begin, *bytes, ByteWidth(dtype), {}};
  tensor.chunks.reserve(blocks.size());
  for (Block& block : blocks) {
    const bool in_runs =
        IsDense(block.stored) && !HasLongPieces(block.stored.storage);
    const bool has_crc = in_runs && HasCrc(block.stored.storage);
    dcp::ChunkRows rows(shape, block.offsets, block.sizes);
    tensor.chunks.push_back(
        {std::move(block.stored), in_runs, std::move(rows), has_crc});
  }
  tensors_.push_back(std::move(tensor));
  size_ = *end;
  return begin;
}

Result<size_t> ChunkedTensors::Read(uint64_t offset,
                                    std::span<std::byte> dst) const {
  return ReadFor(nullptr, offset, dst);
}

std::shared_ptr<const ReadAdapter> ChunkedTensors::ForCall() const {
  return std::make_shared<Call>(*this);
}

Result<size_t> ChunkedTensors::ReadFor(const Call* call, uint64_t offset,
                                       std::span<std::byte> dst) const {
  if (offset >= size_) return size_t{0};
  dst = dst.first(std::min<uint64_t>(dst.size(), size_ - offset));
  const uint64_t end = offset + dst.size();
  uint64_t filled = offset;
  auto it = std::ranges::upper_bound(tensors_, offset, {}, &Tensor::begin);
  if (it != tensors_.begin()) --it;
  for (; it != tensors_.end() && it->begin < end; ++it) {
    const uint64_t from = std::max(offset, it->begin);
    const uint64_t to = std::min(end, it->begin + it->bytes);
    if (from >= to) continue;
    // Between tensors there is nothing.
    std::ranges::fill(dst.subspan(filled - offset, from - filled),
                      std::byte{0});
    CAISSON_RETURN_IF_ERROR(ReadTensor(call, *it, from - it->begin,
                                       dst.subspan(from - offset, to - from)));
    filled = to;
  }
  std::ranges::fill(dst.subspan(filled - offset), std::byte{0});
  return dst.size();
}

Status ChunkedTensors::ReadTensor(const Call* call, const Tensor& tensor,
                                  uint64_t offset,
                                  std::span<std::byte> dst) const {
  for (const Chunk& chunk : tensor.chunks) {
    CAISSON_RETURN_IF_ERROR(ReadRows(call, tensor, chunk, offset, dst));
  }
  return Status::Ok();
}

// What `chunk` has of the tensor's bytes [offset, offset + dst.size()).
Status ChunkedTensors::ReadRows(const Call* call, const Tensor& tensor,
                                const Chunk& chunk, uint64_t offset,
                                std::span<std::byte> dst) const {
  const uint64_t row_bytes = chunk.rows.elems() * tensor.width;
  const uint64_t end = offset + dst.size();
  // Reads may begin and end within an element.
  const uint64_t first = chunk.rows.FirstBehind(offset / tensor.width);
  if (first == chunk.rows.count()) return Status::Ok();
  const auto start = [&](uint64_t row) {
    return chunk.rows.Start(row) * tensor.width;
  };
  if (start(first) >= end) return Status::Ok();
  const uint64_t last = std::min(
      chunk.rows.FirstBehind((end - 1) / tensor.width), chunk.rows.count() - 1);
  // The last row may begin where the window ends.
  const uint64_t stop = start(last) < end ? last + 1 : last;

  const uint64_t skip = offset - std::min(offset, start(first));
  const uint64_t from = first * row_bytes + skip;
  const uint64_t to =
      (stop - 1) * row_bytes + std::min(row_bytes, end - start(stop - 1));
  if (stop - first == 1) {
    const uint64_t at = start(first) + skip - offset;
    return ReadChunk(call, chunk, from, dst.subspan(at, to - from));
  }
  CAISSON_ASSIGN_OR_RETURN(const Buffer rows, Buffer::Allocate(to - from));
  CAISSON_RETURN_IF_ERROR(ReadChunk(call, chunk, from, rows.bytes()));
  uint64_t taken = 0;
  for (uint64_t row = first; row < stop; ++row) {
    const uint64_t begin = std::max(offset, start(row));
    const uint64_t bytes = std::min(end, start(row) + row_bytes) - begin;
    std::memcpy(dst.data() + (begin - offset), rows.data() + taken, bytes);
    taken += bytes;
  }
  return Status::Ok();
}

// The bytes [offset, offset + dst.size()) of the chunk, row-major.
Status ChunkedTensors::ReadChunk(const Call* call, const Chunk& chunk,
                                 uint64_t offset,
                                 std::span<std::byte> dst) const {
  if (!chunk.in_runs) {
    CAISSON_ASSIGN_OR_RETURN(const auto whole, Gathered(chunk));
    std::memcpy(dst.data(), whole->data() + offset, dst.size());
    return Status::Ok();
  }
  const StorageLayout& storage = chunk.stored.storage;
  const ByteSource& file = FileOf(chunk);
  CAISSON_ASSIGN_OR_RETURN(
      const StorageRead read,
      ReadStorage(file, storage, offset, dst, CrcCheck::kOn));
  if (call == nullptr || !chunk.has_crc || read.checked) return Status::Ok();
  const auto crc = call->CrcOf(chunk).Add(offset, dst);
  if (!crc) return Status::Ok();
  return CompareCrc(file, storage.pieces.front(), *crc, PieceName(storage, 0));
}

// All of the chunk, row-major.
Result<std::shared_ptr<const Buffer>> ChunkedTensors::Gathered(
    const Chunk& chunk) const {
  // Who wants the same waits, and need not read it again.
  const std::lock_guard lock(lock_);
  const auto known = std::ranges::find(gathered_, &chunk, &Gathering::first);
  if (known != gathered_.end()) return known->second;
  const TensorView& view = chunk.stored.view;
  CAISSON_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(view.spec.bytes()));
  CAISSON_RETURN_IF_ERROR(ReadView(FileOf(chunk), chunk.stored.storage, view,
                                   buffer.bytes(), CrcCheck::kOn)
                              .status());
  uint64_t kept = buffer.size();
  auto first = gathered_.end();
  while (first != gathered_.begin() &&
         kept + std::prev(first)->second->size() <= kMostGathered) {
    kept += (--first)->second->size();
  }
  gathered_.erase(gathered_.begin(), first);
  gathered_.emplace_back(&chunk,
                         std::make_shared<const Buffer>(std::move(buffer)));
  return gathered_.back().second;
}

// A chunk is a record of one file.
const ByteSource& ChunkedTensors::FileOf(const Chunk& chunk) const {
  return files_[chunk.stored.storage.pieces.front().source - 1];
}

}  // namespace caisson
