// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/shard_index.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson::safetensors {
namespace {

using nlohmann::json;

constexpr std::string_view kSuffix = ".safetensors";

std::string_view StemOf(std::string_view name) {
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return name;
}

bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// Moves what the index lists of one shard into `joined`.
class Joiner {
 public:
  Joiner(const std::string& name, const ShardIndex& index) : index_(index) {
    joined_.format = "safetensors";
    joined_.sources = {name};
  }

  Status Add(const std::string& file, Layout shard) {
    const auto source = static_cast<uint32_t>(joined_.sources.size());
    joined_.sources.push_back(shard.sources.front());
    size_t unlisted = 0;
    for (TensorLayout& tensor : shard.tensors) {
      const std::string name = tensor.view.spec.name;
      const auto listed = index_.files.find(name);
      if (listed == index_.files.end() || listed->second != file) {
        ++unlisted;
        continue;
      }
      StorageLayout& storage = shard.storages[tensor.storage];
      for (Piece& piece : storage.pieces) piece.source = source;
      tensor.storage = joined_.storages.size();
      total_ += storage.bytes;
      joined_.storages.push_back(std::move(storage));
      TensorView bare = tensor.view;
      bare.spec.name.clear();
      CAISSON_RETURN_IF_ERROR(root_.Set(Node(name), Node(std::move(bare))));
      found_.insert(name);
      joined_.tensors.push_back(std::move(tensor));
    }
    if (unlisted > 0) {
      joined_.warnings.push_back(joined_.sources.back() + ": " +
                                 std::to_string(unlisted) +
                                 " tensors that the index does not list there");
    }
    joined_.state.metadata.merge(shard.state.metadata);
    return Status::Ok();
  }

  Result<Layout> Finish() {
    for (const auto& [tensor, file] : index_.files) {
      if (found_.contains(tensor)) continue;
      return Status::Corrupt("tensor '" + tensor + "': not in '" + file +
                             "', where the index has it");
    }
    if (index_.total_size != 0 && index_.total_size != total_) {
      joined_.warnings.push_back(
          joined_.sources.front() + ": a total_size of " +
          std::to_string(index_.total_size) + ", but the tensors have " +
          std::to_string(total_) + " bytes");
    }
    joined_.state.root = std::move(root_);
    return std::move(joined_);
  }

 private:
  const ShardIndex& index_;
  Layout joined_;
  Dict root_;
  std::set<std::string> found_;
  uint64_t total_ = 0;
};

}  // namespace

std::vector<std::string> ShardIndex::Shards() const {
  std::set<std::string> names;
  for (const auto& [tensor, file] : files) names.insert(file);
  return {names.begin(), names.end()};
}

Result<ShardIndex> ParseIndex(std::span<const std::byte> bytes) {
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const json parsed = json::parse(text, text + bytes.size(), nullptr,
                                  /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return Status::Corrupt("index: no JSON object");
  }
  const auto map = parsed.find("weight_map");
  if (map == parsed.end() || !map->is_object()) {
    return Status::Corrupt("index: no object 'weight_map'");
  }
  ShardIndex index;
  for (const auto& [tensor, file] : map->items()) {
    const auto* name = file.get_ptr<const std::string*>();
    if (name == nullptr) {
      return Status::Corrupt("index: tensor '" + tensor +
                             "': its file is no string");
    }
    if (!IsPlainName(*name)) {
      return Status::Corrupt("index: tensor '" + tensor + "': '" + *name +
                             "' names no file of the index's folder");
    }
    index.files.emplace(tensor, *name);
  }
  const auto metadata = parsed.find("metadata");
  if (metadata == parsed.end() || !metadata->is_object()) return index;
  const auto total = metadata->find("total_size");
  // Some writers have it as a float.
  if (total != metadata->end() && total->is_number_unsigned()) {
    index.total_size = total->get<uint64_t>();
  }
  return index;
}

std::string IndexJson(const ShardIndex& index) {
  json document = json::object();
  document["metadata"]["total_size"] = index.total_size;
  document["weight_map"] = index.files;
  return document.dump(2, ' ', /*ensure_ascii=*/true) + "\n";
}

Result<Layout> JoinShards(const std::string& name, const ShardIndex& index,
                          std::vector<Layout> shards) {
  Joiner joiner(name, index);
  const std::vector<std::string> files = index.Shards();
  for (size_t i = 0; i < files.size(); ++i) {
    CAISSON_RETURN_IF_ERROR(joiner.Add(files[i], std::move(shards[i])));
  }
  return joiner.Finish();
}

std::vector<std::vector<FlatTensor>> SplitTensors(
    std::vector<FlatTensor> tensors, uint64_t most_bytes) {
  std::vector<std::vector<FlatTensor>> runs;
  uint64_t bytes = 0;  // of the last run
  for (FlatTensor& tensor : tensors) {
    const uint64_t own = tensor.view.spec.bytes();
    if (runs.empty() || own > most_bytes - std::min(bytes, most_bytes)) {
      runs.emplace_back();
      bytes = 0;
    }
    bytes += own;
    runs.back().push_back(std::move(tensor));
  }
  if (runs.empty()) runs.emplace_back();
  return runs;
}

std::string ShardName(std::string_view name, size_t shard, size_t shards) {
  char number[64];
  std::snprintf(number, sizeof(number), "-%05zu-of-%05zu", shard + 1, shards);
  return std::string(StemOf(name)) + number + std::string(kSuffix);
}

std::string IndexName(std::string_view name) {
  return std::string(StemOf(name)) + std::string(kIndexSuffix);
}

}  // namespace caisson::safetensors
