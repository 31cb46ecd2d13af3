// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/persistent_ids.h"

#include <algorithm>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/formats/torch/node_values.h"

namespace caisson::torch {
namespace {

// The dtype of a storage class, nullopt inside for an untyped one.
Result<std::optional<DType>> ClassDType(const Global& cls) {
  if (cls == Global{"torch.storage", "UntypedStorage"}) {
    return std::optional<DType>();
  }
  const auto dtype = ParseTorchStorageClass(cls.name);
  if (!dtype || (cls.module != "torch" && cls.module != "torch.cuda")) {
    return Status::Corrupt("persistent id: unknown storage class " +
                           cls.dotted());
  }
  return dtype;
}

}  // namespace

Result<Node> PersistentIds::Load(const Node& id) {
  const size_t count = form_ == Form::kLegacy ? 6 : 5;
  const Tuple* tuple = id.As<Tuple>();
  const std::string* tag = tuple != nullptr && !tuple->items.empty()
                               ? tuple->items[0].AsStr()
                               : nullptr;
  // A class with its source code, which stock compares and never runs.
  if (form_ == Form::kLegacy && tag != nullptr && *tag == "module" &&
      tuple->items.size() == 4 && tuple->items[1].As<Global>() != nullptr) {
    return tuple->items[1];
  }
  if (tuple == nullptr || tuple->items.size() != count) {
    return Status::Corrupt("persistent id: expected a tuple of " +
                           std::to_string(count));
  }
  const auto& parts = tuple->items;
  const Global* cls = parts[1].As<Global>();
  const std::string* key = parts[2].AsStr();
  const Text* location = parts[3].As<Text>();
  if (tag == nullptr || *tag != "storage") {
    return Status::Corrupt("persistent id: expected 'storage' first");
  }
  if (cls == nullptr || key == nullptr || location == nullptr) {
    return Status::Corrupt("persistent id: a part of the wrong type");
  }
  CAISSON_ASSIGN_OR_RETURN(const std::optional<DType> dtype, ClassDType(*cls));
  CAISSON_ASSIGN_OR_RETURN(const StorageHandle storage,
                           StorageOf(*key, dtype, *location, parts[4]));
  if (form_ == Form::kZip) return Node(storage);
  CAISSON_ASSIGN_OR_RETURN(const StorageHandle part, PartOf(storage, parts[5]));
  return Node(part);
}

Result<StorageHandle> PersistentIds::StorageOf(const std::string& key,
                                               std::optional<DType> dtype,
                                               const Text& location,
                                               const Node& elems) {
  const auto numel = AsInt64(elems);
  const auto bytes =
      numel && *numel >= 0
          ? CheckedMul(static_cast<uint64_t>(*numel),
                       dtype ? std::max<size_t>(ByteWidth(*dtype), 1) : 1)
          : std::nullopt;
  if (!bytes || *bytes > INT64_MAX) {
    return Status::Corrupt("persistent id of storage '" + key +
                           "': a bad number of elements");
  }
  const auto [known, added] = by_key_.emplace(key, storages_.size());
  if (!added) {
    const StorageHandle& handle = storages_[known->second].handle;
    if (handle->region.bytes == *bytes) return handle;
    return Status::Corrupt(
        "persistent id of storage '" + key + "': " + std::to_string(*bytes) +
        " bytes, before it had " + std::to_string(handle->region.bytes));
  }
  auto handle = std::make_shared<Storage>();
  handle->region.bytes = *bytes;
  handle->dtype = dtype;
  handle->location = location;
  storages_.push_back({key, handle});
  return handle;
}

Result<StorageHandle> PersistentIds::PartOf(const StorageHandle& root,
                                            const Node& metadata) {
  if (metadata.none()) return root;
  const auto bad = [](const std::string& problem) {
    return Status::Corrupt("persistent id: " + problem);
  };
  const Tuple* view = metadata.As<Tuple>();
  if (view == nullptr || view->items.size() != 3) {
    return bad("expected None or a view of three parts");
  }
  const std::string* key = view->items[0].AsStr();
  const auto offset = AsInt64(view->items[1]);
  const auto elems = AsInt64(view->items[2]);
  if (key == nullptr || !offset || !elems || *offset < 0 || *elems < 0) {
    return bad("a part of a view of the wrong type");
  }
  const size_t width =
      root->dtype ? std::max<size_t>(ByteWidth(*root->dtype), 1) : 1;
  const auto first = CheckedMul(static_cast<uint64_t>(*offset), width);
  const auto bytes = CheckedMul(static_cast<uint64_t>(*elems), width);
  if (!first || !bytes || !FitsWithin(*first, *bytes, root->region.bytes)) {
    return bad("storage '" + *key + "': a view of " + std::to_string(*elems) +
               " elements from " + std::to_string(*offset) +
               " on, outside its storage of " +
               std::to_string(root->region.bytes / width));
  }
  // Keys of views are those of no root: both are addresses.
  const auto [known, added] = by_key_.emplace(*key, storages_.size());
  if (!added) {
    const PickledStorage& before = storages_[known->second];
    const bool same = before.root == root && before.root_offset == *first &&
                      before.handle->region.bytes == *bytes;
    // A view of the whole may have the key of its root.
    if (before.handle == root && *first == 0 && *bytes == root->region.bytes) {
      return root;
    }
    if (same) return before.handle;
    return bad("storage '" + *key + "' is two different views");
  }
  auto handle = std::make_shared<Storage>();
  handle->region.bytes = *bytes;
  handle->dtype = root->dtype;
  handle->location = root->location;
  parts_.emplace(handle.get(), storages_.size());
  storages_.push_back({*key, handle, root, *first});
  return handle;
}

void PersistentIds::MoveToRoot(Node& node) const {
  TensorView* view = node.As<TensorView>();
  if (view == nullptr) return;
  const auto part = parts_.find(view->storage.get());
  if (part == parts_.end()) return;
  const PickledStorage& pickled = storages_[part->second];
  const size_t width = std::max<size_t>(ByteWidth(view->spec.dtype), 1);
  // A dtype that the offset does not suit stays over the part.
  if (pickled.root_offset % width != 0) return;
  view->storage = pickled.root;
  view->offset += pickled.root_offset / width;
}

}  // namespace caisson::torch
