// SPDX-License-Identifier: Apache-2.0
//
// OpenDcp: the layouts of all shards as one. A tensor whose chunks are runs of
// it has them as pieces; what is cut in several dimensions lies in a file of
// its own that is put together as it is read (chunked_tensors).
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/base/endian.h"
#include "core/base/identity_map.h"
#include "core/base/status_macros.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/dcp/chunked_tensors.h"
#include "core/engine/dcp/shards.h"
#include "core/formats/dcp/chunk_rows.h"
#include "core/formats/dcp/nested_state.h"

namespace caisson {
namespace {

size_t UnitOf(const StorageLayout& storage) {
  return std::max<size_t>(ByteWidth(storage.dtype), 1);
}

class Assembler {
 public:
  Assembler(const DcpPath& at, OpenedFile& opened, const ReaderOptions& options,
            const OpenAdapter& open)
      : at_(at),
        opened_(opened),
        layout_(opened.layout),
        shards_(at, opened, options, open),
        chunked_(std::make_shared<ChunkedTensors>(at.metadata)) {
    layout_.format = "dcp";
    layout_.sources = {at.metadata};
  }

  Status Run(const dcp::Checkpoint& checkpoint) {
    for (const dcp::Item& item : checkpoint.items) {
      CAISSON_RETURN_IF_ERROR(Add(item));
    }
    CAISSON_ASSIGN_OR_RETURN(layout_.state.root, state_.Finish());
    if (chunked_->size() > 0) PlaceChunked();
    return PlaceTensors();
  }

 private:
  Status Add(const dcp::Item& item) {
    Node node;
    if (item.is_tensor) {
      CAISSON_ASSIGN_OR_RETURN(TensorView view, TensorOf(item));
      node = Node(std::move(view));
    } else {
      CAISSON_ASSIGN_OR_RETURN(node, ValueOf(item));
    }
    return state_.Put(item.path, std::move(node)).WithContext(at_.metadata);
  }

  Result<StoredChunk> ChunkOf(const dcp::Item& item, const dcp::Chunk& chunk) {
    CAISSON_ASSIGN_OR_RETURN(StoredChunk stored,
                             shards_.Tensor(item.fqn, chunk.place));
    const TensorSpec& spec = stored.view.spec;
    if (spec.dtype != item.dtype || spec.shape != chunk.sizes) {
      const uint32_t source = stored.storage.pieces.front().source;
      return Status::Corrupt(layout_.sources[source] + ": '" + item.fqn +
                             "': not the chunk that the metadata has");
    }
    stored.storage.record = item.fqn;
    stored.view.requires_grad = false;  // whoever loads has tensors of his own
    return stored;
  }

  Result<TensorView> TensorOf(const dcp::Item& item) {
    std::vector<ChunkedTensors::Block> blocks;
    for (const dcp::Chunk& chunk : item.chunks) {
      if (std::ranges::find(chunk.sizes, 0) != chunk.sizes.end()) continue;
      CAISSON_ASSIGN_OR_RETURN(StoredChunk stored, ChunkOf(item, chunk));
      blocks.push_back({chunk.offsets, chunk.sizes, std::move(stored)});
    }
    if (blocks.size() == 1) {  // it has the tensor's shape
      StoredChunk& whole = blocks.front().stored;
      AddStorage(std::move(whole.storage));
      return std::move(whole.view);
    }
    for (const ChunkedTensors::Block& block : blocks) {
      // Elements that many positions show would be as many bytes.
      if (block.stored.view.spec.bytes() > block.stored.storage.bytes) {
        return Status::Corrupt(at_.metadata + ": tensor '" + item.fqn +
                               "': a chunk of more elements than are stored");
      }
      if (block.stored.view.conj || block.stored.view.neg) {
        return Status::Unsupported(at_.metadata + ": tensor '" + item.fqn +
                                   "': chunks that are conjugate or negative "
                                   "views");
      }
    }
    StorageLayout storage;
    storage.record = item.fqn;
    storage.handle = std::make_shared<Storage>();
    if (!TorchStorageClass(item.dtype).empty()) {
      storage.handle->dtype = item.dtype;
    }
    storage.dtype = storage.handle->dtype.value_or(DType::kUInt8);
    TensorView view;
    view.spec.dtype = item.dtype;
    view.spec.shape = item.shape;
    view.strides = RowMajorStrides(item.shape);
    view.storage = storage.handle;
    if (view.spec.bytes() == UINT64_MAX) {
      return Status::Corrupt(at_.metadata + ": tensor '" + item.fqn +
                             "': too large");
    }
    storage.bytes = storage.handle->region.bytes = view.spec.bytes();
    if (!PlaceRuns(item, blocks, storage)) {
      const Result<uint64_t> begin =
          chunked_->Add(item.dtype, item.shape, std::move(blocks));
      if (!begin) return begin.error().WithContext(at_.metadata);
      Piece piece;
      piece.offset = *begin;
      piece.stored_bytes = storage.bytes;
      piece.elems = storage.bytes / UnitOf(storage);
      piece.order = kNativeOrder;
      storage.pieces.push_back(piece);
      to_place_.push_back(layout_.storages.size());
    }
    AddStorage(std::move(storage));
    return view;
  }

  void AddStorage(StorageLayout storage) {
    if (storage.handle->location.str() != "meta") {
      storage.handle->location = location_;
    }
    layout_.storages.push_back(std::move(storage));
  }

  // Gives `storage` the pieces of all blocks; false if one is no run of it.
  bool PlaceRuns(const dcp::Item& item,
                 std::vector<ChunkedTensors::Block>& blocks,
                 StorageLayout& storage) const {
    std::map<uint64_t, const StorageLayout*> runs;  // by the first element
    for (const ChunkedTensors::Block& block : blocks) {
      const dcp::ChunkRows rows(item.shape, block.offsets, block.sizes);
      if (rows.count() != 1 || !IsDense(block.stored) ||
          block.stored.storage.dtype != storage.dtype) {
        return false;
      }
      runs.emplace(rows.Start(0), &block.stored.storage);
    }
    const size_t units = ByteWidth(item.dtype) / UnitOf(storage);
    for (const auto& [first, run] : runs) {
      for (Piece piece : run->pieces) {
        piece.first_elem += first * units;
        storage.pieces.push_back(piece);
      }
      storage.index_bytes += run->index_bytes;
    }
    // A tensor without elements has a piece all the same.
    if (storage.pieces.empty()) storage.pieces.emplace_back();
    return true;
  }

  Result<Node> ValueOf(const dcp::Item& item) {
    CAISSON_ASSIGN_OR_RETURN(Layout value, shards_.Value(item.fqn, item.place));
    for (StorageLayout& storage : value.storages) {
      storage.record = item.fqn + "/" + storage.record;
      AddStorage(std::move(storage));
    }
    return std::move(value.state.root);
  }

  void PlaceChunked() {
    chunked_->SetFiles(opened_.shards);
    const uint32_t source = shards_.AddSource(chunked_);
    for (const size_t i : to_place_) {
      layout_.storages[i].pieces.front().source = source;
    }
  }

  Status PlaceTensors() {
    IdentityMap<size_t> by_handle;
    by_handle.Reserve(layout_.storages.size());
    for (size_t i = 0; i < layout_.storages.size(); ++i) {
      by_handle.TryEmplace(layout_.storages[i].handle.get(), i);
    }
    auto named = layout_.state.Tensors();
    if (!named) {
      return Status::Unsupported(std::string(named.error().message()))
          .WithContext(at_.metadata);
    }
    for (NamedTensor& tensor : *named) {
      TensorLayout placed;
      placed.view = *tensor.view;
      placed.view.spec.name = Join(tensor.path);
      placed.path = std::move(tensor.path);
      placed.storage = *by_handle.Find(tensor.view->storage.get());
      layout_.tensors.push_back(std::move(placed));
    }
    return Status::Ok();
  }

  const DcpPath& at_;
  OpenedFile& opened_;
  Layout& layout_;
  DcpShards shards_;
  dcp::NestedState state_;
  const Text location_ = "cpu";  // of all, and one str, as of torch.save
  std::shared_ptr<ChunkedTensors> chunked_;
  std::vector<size_t> to_place_;  // storages that lie in chunked_
};

}  // namespace

Result<OpenedFile> OpenDcp(const DcpPath& at, const ReaderOptions& options,
                           const OpenAdapter& open) {
  CAISSON_ASSIGN_OR_RETURN(auto adapter, open(at.metadata));
  OpenedFile opened{ByteSource(std::move(adapter)), {}, {}, {}, at};
  CAISSON_ASSIGN_OR_RETURN(const dcp::Checkpoint checkpoint,
                           ReadCheckpoint(at, opened.source));
  AllowShards(checkpoint);
  CAISSON_RETURN_IF_ERROR(Assembler(at, opened, options, open).Run(checkpoint));
  return opened;
}

}  // namespace caisson
