// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/legacy_reader.h"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/pickle/pickle_extent.h"
#include "core/formats/pickle/unpickler.h"
#include "core/formats/torch/torch_semantics.h"

namespace caisson::torch {
namespace {

constexpr int64_t kProtocol = 1001;

// LONG1 of 0x1950a86a20f9469cfc6c, as a pickle.
constexpr std::string_view kMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

// What stands before and after the object is plain: no call, no storage.
class NoSemantics : public pickle::Semantics {
 public:
  pickle::Trust Classify(const Global&) const override {
    return pickle::Trust::kUnknown;
  }
  Result<Node> LoadPersistent(const Node&) override {
    return Status::Corrupt("a persistent id");
  }
  Result<std::optional<Node>> Call(const Global&, const Tuple&) override {
    return std::optional<Node>();
  }
};

class LegacyParser {
 public:
  LegacyParser(const ByteSource& source, const ParseOptions& options)
      : source_(source),
        options_(options),
        semantics_(PersistentIds::Form::kLegacy) {}

  Result<ParsedArchive> Run() {
    CAISSON_RETURN_IF_ERROR(CheckMagic());
    NoSemantics plain;
    CAISSON_ASSIGN_OR_RETURN(const auto protocol,
                             Next("protocol version", plain));
    const Integer* number = protocol.root.As<Integer>();
    if (number == nullptr || number->ToInt64() != kProtocol) {
      return source_.Corrupt(kMagic.size(), "protocol version",
                             "expected 1001");
    }
    CAISSON_RETURN_IF_ERROR(Next("system info", plain).status());
    CAISSON_ASSIGN_OR_RETURN(auto object, Next("object", semantics_));
    ParsedArchive parsed;
    parsed.unknown = std::move(object.unknown);
    Layout& layout = parsed.layout;
    layout.format = "pytorch_legacy";
    layout.sources = {source_.name()};
    layout.state.root = std::move(object.root);
    const uint64_t keys_at = at_;
    CAISSON_ASSIGN_OR_RETURN(const auto keys, Next("storage keys", plain));
    const List* list = keys.root.As<List>();
    if (list == nullptr) {
      return source_.Corrupt(keys_at, "storage keys", "no list");
    }
    CAISSON_RETURN_IF_ERROR(PlaceRoots(*list, keys_at, &layout));
    CAISSON_RETURN_IF_ERROR(PlaceViews(&layout));
    CAISSON_RETURN_IF_ERROR(PlaceTensors(&layout));
    return parsed;
  }

 private:
  Status CheckMagic() {
    std::array<std::byte, kMagic.size()> front;
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(0, front, "magic number"));
    const std::string_view text(reinterpret_cast<const char*>(front.data()),
                                front.size());
    at_ = front.size();
    if (text == kMagic) return Status::Ok();
    return source_.Corrupt(0, "magic number", "not that of torch.save");
  }

  // The pickle at the cursor, which moves past it.
  Result<pickle::Unpickled> Next(const std::string& what,
                                 pickle::Semantics& semantics) {
    Result<uint64_t> extent = pickle::PickleExtent(source_, at_);
    if (!extent) return extent.error().WithContext(what);
    std::vector<std::byte> bytes;
    try {
      bytes.resize(*extent);
    } catch (const std::exception&) {
      return Status::OutOfMemory(source_.name() + ": " + what + ": " +
                                 std::to_string(*extent) + " bytes");
    }
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(at_, bytes, what));
    pickle::Options options;
    options.strict = options_.strict;
    const std::string name =
        source_.name() + ": " + what + " from " + std::to_string(at_) + " on";
    at_ += *extent;
    return pickle::Unpickle(bytes, name, semantics, options);
  }

  // The storages follow in the order of the keys, each behind its number of
  // elements.
  Status PlaceRoots(const List& keys, uint64_t keys_at, Layout* layout) {
    std::unordered_map<std::string_view, const PickledStorage*> roots;
    for (const PickledStorage& storage : semantics_.storages()) {
      if (!storage.root) roots.emplace(storage.key, &storage);
    }
    for (const Node& item : keys.items) {
      const std::string* key = item.AsStr();
      const auto found = key != nullptr ? roots.find(*key) : roots.end();
      if (found == roots.end()) {
        return source_.Corrupt(keys_at, "storage keys",
                               key == nullptr
                                   ? "a key that is no str"
                                   : "'" + *key +
                                         "', which is twice there or no "
                                         "storage of the object");
      }
      CAISSON_RETURN_IF_ERROR(PlaceRoot(*found->second, layout));
      roots.erase(found);
    }
    if (roots.empty()) return Status::Ok();
    return source_.Corrupt(keys_at, "storage keys",
                           "the object's storage '" +
                               std::string(roots.begin()->first) +
                               "' is missing");
  }

  Status PlaceRoot(const PickledStorage& pickled, Layout* layout) {
    const std::string what = "storage '" + pickled.key + "'";
    std::array<std::byte, 8> number;
    CAISSON_RETURN_IF_ERROR(source_.ReadExact(at_, number, what));
    const StorageHandle& handle = pickled.handle;
    const DType dtype = handle->dtype.value_or(DType::kUInt8);
    const size_t width = std::max<size_t>(ByteWidth(dtype), 1);
    const uint64_t bytes = handle->region.bytes;
    const auto elems = LoadLittle<uint64_t>(number.data());
    if (elems != bytes / width) {
      return source_.Corrupt(at_, what,
                             std::to_string(static_cast<int64_t>(elems)) +
                                 " elements, but the pickle says " +
                                 std::to_string(bytes / width));
    }
    at_ += number.size();
    if (!FitsWithin(at_, bytes, source_.size())) {
      return source_.Corrupt(at_, what,
                             "needs " + std::to_string(bytes) +
                                 " bytes, the file has " +
                                 std::to_string(source_.size()));
    }
    offsets_.emplace(handle.get(), at_);
    Place(pickled.key, handle, at_, layout);
    at_ += bytes;
    return Status::Ok();
  }

  void Place(const std::string& record, const StorageHandle& handle,
             uint64_t offset, Layout* layout) {
    StorageLayout storage;
    storage.record = record;
    storage.dtype = handle->dtype.value_or(DType::kUInt8);
    storage.bytes = handle->region.bytes;
    storage.handle = handle;
    Piece piece;
    piece.offset = offset;
    piece.stored_bytes = storage.bytes;
    piece.elems = storage.bytes / std::max<size_t>(ByteWidth(storage.dtype), 1);
    storage.pieces.push_back(piece);
    by_handle_.emplace(handle.get(), layout->storages.size());
    layout->storages.push_back(std::move(storage));
  }

  // Parts of other storages. Tensors view the whole one; what else names such
  // a part has a storage of its own, and all of those no more bytes than the
  // file.
  Status PlaceViews(Layout* layout) {
    uint64_t left = source_.size();
    for (const PickledStorage& storage : semantics_.storages()) {
      // Held by the semantics alone: only tensors named it.
      if (!storage.root || storage.handle.use_count() == 1) continue;
      const uint64_t bytes = storage.handle->region.bytes;
      if (bytes > left) {
        return Status::Unsupported(source_.name() +
                                   ": object: storages that are parts of "
                                   "others, of more bytes than the file has");
      }
      left -= bytes;
      Place(storage.key, storage.handle,
            offsets_.at(storage.root.get()) + storage.root_offset, layout);
    }
    return Status::Ok();
  }

  Status PlaceTensors(Layout* layout) {
    auto named = layout->state.Tensors();
    if (!named) {
      return Status::Unsupported(
          source_.name() + ": object: " + std::string(named.error().message()));
    }
    layout->tensors.reserve(named->size());
    for (NamedTensor& tensor : *named) {
      TensorLayout placed;
      placed.view = *tensor.view;
      placed.view.spec.name = Join(tensor.path);
      placed.path = std::move(tensor.path);
      placed.storage = by_handle_.at(tensor.view->storage.get());
      layout->tensors.push_back(std::move(placed));
    }
    return Status::Ok();
  }

  const ByteSource& source_;
  const ParseOptions options_;
  TorchSemantics semantics_;
  uint64_t at_ = 0;
  std::unordered_map<const Storage*, uint64_t> offsets_;  // of roots
  std::unordered_map<const Storage*, size_t> by_handle_;  // in the layout
};

}  // namespace

Result<ParsedArchive> ParseLegacy(const ByteSource& source,
                                  const ParseOptions& options) {
  return LegacyParser(source, options).Run();
}

}  // namespace caisson::torch
