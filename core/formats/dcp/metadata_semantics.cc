// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/metadata_semantics.h"

#include <string_view>

#include "caisson/dtype.h"

namespace caisson::dcp {
namespace {

using pickle::Trust;

struct ClassRow {
  std::string_view module;
  std::string_view name;
  Part part;
};

constexpr std::string_view kMetadata = "torch.distributed.checkpoint.metadata";
constexpr std::string_view kOld =
    "torch.distributed._shard.sharded_tensor.metadata";

constexpr ClassRow kClasses[] = {
    {kMetadata, "Metadata", Part::kMetadata},
    {kMetadata, "TensorStorageMetadata", Part::kTensor},
    {kMetadata, "BytesStorageMetadata", Part::kBytes},
    {kMetadata, "ChunkStorageMetadata", Part::kChunk},
    {kMetadata, "TensorProperties", Part::kProperties},
    {kMetadata, "MetadataIndex", Part::kIndex},
    {kMetadata, "StorageMeta", Part::kStorageMeta},
    {"torch.distributed.checkpoint.filesystem", "_StorageInfo", Part::kStorage},
    {"torch.distributed._shard.metadata", "ShardMetadata", Part::kChunk},
    {kOld, "TensorProperties", Part::kProperties},
};

struct CallRow {
  std::string_view module;
  std::string_view name;
};

// What they make is of no use to us.
constexpr CallRow kIgnored[] = {
    {kMetadata, "_MEM_FORMAT_ENCODING"},    {kOld, "MEM_FORMAT_ENCODING"},
    {"torch.serialization", "_get_layout"}, {"pathlib", "PosixPath"},
    {"pathlib._local", "PosixPath"},
};

const ClassRow* ClassOf(const Global& global) {
  for (const ClassRow& row : kClasses) {
    if (row.module == global.module && row.name == global.name) return &row;
  }
  return nullptr;
}

bool IsIgnored(const Global& global) {
  for (const CallRow& row : kIgnored) {
    if (row.module == global.module && row.name == global.name) return true;
  }
  return false;
}

const Global kSize = {"torch", "Size"};

}  // namespace

Trust MetadataSemantics::Classify(const Global& global) const {
  if (ClassOf(global) != nullptr) return Trust::kClass;
  if (global == kSize || IsIgnored(global)) return Trust::kFunction;
  if (global.module == "torch" && ParseDType(global.name)) {
    return Trust::kValue;
  }
  return Trust::kUnknown;
}

Result<Node> MetadataSemantics::LoadPersistent(const Node&) {
  return Status::Unsupported("metadata that names a storage");
}

Result<std::optional<Node>> MetadataSemantics::Call(const Global& callable,
                                                    const Tuple& args) {
  if (callable == kSize) {
    if (args.items.empty()) return std::optional<Node>(Tuple());
    if (args.items.size() == 1 && args.items[0].As<Tuple>() != nullptr) {
      return std::optional<Node>(args.items[0]);
    }
    return Status::Corrupt("torch.Size: expected a tuple");
  }
  if (IsIgnored(callable)) return std::optional<Node>(Node());
  return std::optional<Node>();
}

bool IsPart(const Node& node, Part part) {
  const Object* object = node.As<Object>();
  if (object == nullptr) return false;
  const ClassRow* row = ClassOf(object->global());
  return row != nullptr && row->part == part;
}

const Node* AttributeOf(const Node& node, const char* name) {
  const Object* object = node.As<Object>();
  return object != nullptr ? object->state.Find(name) : nullptr;
}

}  // namespace caisson::dcp
