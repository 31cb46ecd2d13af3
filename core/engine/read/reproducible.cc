// SPDX-License-Identifier: Apache-2.0
//
// Reader::Reproducible: lays the state out again and compares everything but
// the payload of storages, whose places follow from the rest and whose CRCs
// stand in it.
#include <algorithm>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/format.h"
#include "core/formats/torch/torch_writer.h"

namespace caisson {
namespace {

class Comparer {
 public:
  Comparer(const ByteSource& source, const Layout& layout) : source_(source) {
    for (const StorageLayout& storage : layout.storages) {
      storages_.emplace(storage.handle.get(), &storage);
    }
  }

  Result<bool> Run(PartStream& parts) {
    while (true) {
      CAISSON_ASSIGN_OR_RETURN(std::optional<Part> part,
                               parts.Next({cursor_, facts_}));
      if (!part) return cursor_ == source_.size();
      CAISSON_ASSIGN_OR_RETURN(
          const bool same,
          std::visit([this](auto& kind) { return Same(kind); }, *part));
      if (!same) return false;
    }
  }

 private:
  Result<bool> Same(const Literal& literal) { return SameBytes(literal.bytes); }

  Result<bool> Same(const DeferredLiteral& literal) {
    std::vector<std::byte> bytes(literal.bytes);
    CAISSON_RETURN_IF_ERROR(literal.fill({cursor_, facts_}, bytes));
    return SameBytes(bytes);
  }

  Result<bool> Same(const TensorPiece& piece) {
    const auto found = storages_.find(piece.storage.get());
    if (found == storages_.end() || found->second->pieces.size() != 1) {
      return false;
    }
    const Piece& there = found->second->pieces.front();
    if (there.encoding != Encoding::kRaw || there.offset != cursor_ ||
        there.stored_bytes != piece.bytes) {
      return false;
    }
    PieceFacts facts;
    facts.crc32 = there.crc32.value_or(0);
    facts.stored_bytes = piece.bytes;
    const auto head =
        std::span(facts.head)
            .first(std::min<uint64_t>(facts.head.size(), piece.bytes));
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(cursor_, head, "tensors"));
    facts_.push_back(std::move(facts));
    cursor_ += piece.bytes;
    return true;
  }

  // A PyTorch file has no such parts.
  Result<bool> Same(const Measure&) { return false; }
  Result<bool> Same(const FrontBlock&) { return false; }

  Result<bool> SameBytes(std::span<const std::byte> bytes) {
    if (bytes.size() > source_.size() - cursor_) return false;
    std::vector<std::byte> there(bytes.size());
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(cursor_, there, "records"));
    cursor_ += bytes.size();
    return std::ranges::equal(bytes, there);
  }

  const ByteSource& source_;
  std::unordered_map<const Storage*, const StorageLayout*> storages_;
  std::vector<PieceFacts> facts_;
  uint64_t cursor_ = 0;
};

}  // namespace

Result<bool> Reader::Reproducible() const {
  const Layout& layout = impl_->layout;
  if (layout.format != "pytorch") return false;
  // What cannot be written is not reproduced.
  const auto parts =
      torch::WriteTorchArchive(layout.state, layout.state.profile);
  if (!parts) return false;
  return Comparer(impl_->source, layout).Run(**parts);
}

}  // namespace caisson
