// SPDX-License-Identifier: Apache-2.0
//
// A pickle may name one list of chunks, or one long text, from many places.
// What is copied out of it is counted, so that memory stays a multiple of the
// pickle's size.
#include "core/formats/dcp/metadata.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/formats/dcp/metadata_semantics.h"
#include "core/formats/dcp/stored_places.h"

namespace caisson::dcp {
namespace {

Status Malformed(const std::string& fqn, std::string_view problem) {
  return Status::Corrupt("'" + fqn + "': " + std::string(problem));
}

std::optional<int64_t> IntegerOf(const Node* node) {
  const Integer* integer = node ? node->As<Integer>() : nullptr;
  return integer ? integer->ToInt64() : std::nullopt;
}

std::optional<uint64_t> SizeOf(const Node* node) {
  const auto value = IntegerOf(node);
  if (!value || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

const std::vector<Node>* ItemsOf(const Node* node) {
  if (node == nullptr) return nullptr;
  if (const Tuple* tuple = node->As<Tuple>()) return &tuple->items;
  if (const List* list = node->As<List>()) return &list->items;
  return nullptr;
}

class Converter {
 public:
  explicit Converter(size_t pickle_bytes)
      : budget_(4096 + 16 * uint64_t{pickle_bytes}) {}

  Result<Checkpoint> Run(const Node& root) {
    if (!IsPart(root, Part::kMetadata)) {
      return Status::Corrupt("a pickle of something else than metadata");
    }
    const Node* state = AttributeOf(root, "state_dict_metadata");
    const Dict* items = state ? state->As<Dict>() : nullptr;
    if (items == nullptr) return Status::Corrupt("no state_dict_metadata");
    if (const Node* planner = AttributeOf(root, "planner_data")) {
      planner_ = planner->As<Dict>();
    }
    const Node* storage = AttributeOf(root, "storage_data");
    if (const Dict* places = storage ? storage->As<Dict>() : nullptr) {
      for (const auto& [index, info] : places->entries()) {
        CAISSON_RETURN_IF_ERROR(ReadPlace(index, info));
      }
    }
    Checkpoint checkpoint;
    for (const auto& [name, what] : items->entries()) {
      const std::string* fqn = name.AsStr();
      if (fqn == nullptr) return Status::Corrupt("a name that is no str");
      CAISSON_ASSIGN_OR_RETURN(Item item, ReadItem(*fqn, what));
      CAISSON_RETURN_IF_ERROR(places_.Join(item));
      checkpoint.items.push_back(std::move(item));
    }
    return checkpoint;
  }

 private:
  Status Charge(uint64_t bytes) {
    if (bytes > budget_) {
      return Status::Corrupt(
          "metadata that names the same far more often than "
          "it has parts");
    }
    budget_ -= bytes;
    return Status::Ok();
  }

  Status ReadPlace(const Node& index, const Node& info) {
    const Node* name = AttributeOf(index, "fqn");
    const std::string* fqn = name ? name->AsStr() : nullptr;
    if (!IsPart(index, Part::kIndex) || fqn == nullptr) {
      return Status::Corrupt("storage_data: a key that is no MetadataIndex");
    }
    if (!IsPart(info, Part::kStorage)) {
      return Malformed(*fqn, "stored as something else than a _StorageInfo");
    }
    const Node* transforms = AttributeOf(info, "transform_descriptors");
    if (const auto* list = ItemsOf(transforms); list && !list->empty()) {
      return Status::Unsupported("'" + *fqn +
                                 "': stored through a stream transform");
    }
    const Node* path = AttributeOf(info, "relative_path");
    const std::string* file = path ? path->AsStr() : nullptr;
    const auto offset = SizeOf(AttributeOf(info, "offset"));
    const auto bytes = SizeOf(AttributeOf(info, "length"));
    if (file == nullptr || !offset || !bytes) {
      return Malformed(*fqn, "a bad file, offset or length");
    }
    std::optional<std::vector<int64_t>> at;
    if (const Node* node = AttributeOf(index, "offset");
        node != nullptr && !node->none()) {
      CAISSON_ASSIGN_OR_RETURN(at, Numbers(*fqn, node));
    }
    const Status named = CheckFileName(*file);  // before it is copied
    if (!named.ok()) return named.WithContext("'" + *fqn + "'");
    Place place;
    place.file = *file;
    place.offset = *offset;
    place.bytes = *bytes;
    return places_.Add(*fqn, std::move(at), std::move(place));
  }

  Result<Item> ReadItem(const std::string& fqn, const Node& what) {
    Item item;
    item.fqn = fqn;
    CAISSON_ASSIGN_OR_RETURN(item.path, PathOf(fqn));
    if (IsPart(what, Part::kBytes)) return item;
    if (!IsPart(what, Part::kTensor)) {
      return Malformed(fqn, "neither a tensor nor bytes");
    }
    item.is_tensor = true;
    CAISSON_ASSIGN_OR_RETURN(item.dtype, DTypeOf(fqn, what));
    CAISSON_ASSIGN_OR_RETURN(item.shape,
                             Numbers(fqn, AttributeOf(what, "size")));
    const auto* chunks = ItemsOf(AttributeOf(what, "chunks"));
    if (chunks == nullptr) return Malformed(fqn, "no chunks");
    for (const Node& chunk : *chunks) {
      if (!IsPart(chunk, Part::kChunk)) return Malformed(fqn, "a bad chunk");
      const Node* offsets = AttributeOf(chunk, "offsets");
      const Node* sizes = AttributeOf(chunk, "sizes");
      if (offsets == nullptr) offsets = AttributeOf(chunk, "shard_offsets");
      if (sizes == nullptr) sizes = AttributeOf(chunk, "shard_sizes");
      CAISSON_RETURN_IF_ERROR(Charge(32));
      Chunk made;
      CAISSON_ASSIGN_OR_RETURN(made.offsets, Numbers(fqn, offsets));
      CAISSON_ASSIGN_OR_RETURN(made.sizes, Numbers(fqn, sizes));
      item.chunks.push_back(std::move(made));
    }
    return item;
  }

  // Its properties' state is a tuple that begins with the dtype; in early
  // versions, a dict.
  Result<DType> DTypeOf(const std::string& fqn, const Node& what) {
    const Node* properties = AttributeOf(what, "properties");
    const Object* object = properties ? properties->As<Object>() : nullptr;
    if (object == nullptr || !IsPart(*properties, Part::kProperties)) {
      return Malformed(fqn, "no properties");
    }
    const Node* dtype = object->state.Find("dtype");
    const Tuple* tuple = object->state.As<Tuple>();
    if (tuple != nullptr && !tuple->items.empty()) dtype = &tuple->items[0];
    const Global* global = dtype ? dtype->As<Global>() : nullptr;
    if (global == nullptr || global->module != "torch") {
      return Malformed(fqn, "no dtype");
    }
    const auto known = ParseDType(global->name);
    if (!known || ByteWidth(*known) == 0) {
      return Status::Unsupported("'" + fqn + "': the dtype " +
                                 global->dotted());
    }
    return *known;
  }

  // The integers of a torch.Size, a tuple or a list.
  Result<std::vector<int64_t>> Numbers(const std::string& fqn,
                                       const Node* node) {
    const auto* items = ItemsOf(node);
    if (items == nullptr || items->size() > kMaxDims) {
      return Malformed(fqn, "a bad size or offset");
    }
    CAISSON_RETURN_IF_ERROR(Charge(8 * items->size()));
    std::vector<int64_t> numbers;
    for (const Node& item : *items) {
      const auto number = IntegerOf(&item);
      if (!number) return Malformed(fqn, "a bad size or offset");
      numbers.push_back(*number);
    }
    return numbers;
  }

  // Where it stood; its name, if nobody says.
  Result<Path> PathOf(const std::string& fqn) {
    const Node* found =
        planner_ ? planner_->Find(std::string_view(fqn)) : nullptr;
    if (found == nullptr) return Path{fqn};
    const auto* steps = ItemsOf(found);
    if (steps == nullptr || steps->empty() || steps->size() > kMaxDepth) {
      return Malformed(fqn, "a bad path");
    }
    Path path;
    for (const Node& step : *steps) {
      if (const std::string* key = step.AsStr()) {
        CAISSON_RETURN_IF_ERROR(Charge(8 + key->size()));
        path.emplace_back(*key);
      } else if (const auto index = IntegerOf(&step)) {
        CAISSON_RETURN_IF_ERROR(Charge(8));
        path.emplace_back(*index);
      } else {
        return Malformed(fqn, "a path of other than names and numbers");
      }
    }
    return path;
  }

  uint64_t budget_;
  const Dict* planner_ = nullptr;
  StoredPlaces places_;
};

}  // namespace

Result<Checkpoint> ParseMetadata(std::span<const std::byte> pickle) {
  MetadataSemantics semantics;
  CAISSON_ASSIGN_OR_RETURN(const pickle::Unpickled unpickled,
                           pickle::Unpickle(pickle, "metadata", semantics));
  if (!unpickled.unknown.empty()) {
    return Status::Unsupported("metadata that names " +
                               unpickled.unknown.front().dotted() +
                               ", which is none of its parts");
  }
  return Converter(pickle.size()).Run(unpickled.root);
}

}  // namespace caisson::dcp
