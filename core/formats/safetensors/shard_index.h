// SPDX-License-Identifier: Apache-2.0
//
// A set of safetensors files with an index that tells which tensor is in which.
// formats.md 4.5. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/status.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/layout.h"

namespace caisson::safetensors {

inline constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

struct ShardIndex {
  std::map<std::string, std::string> files;  // by tensor; plain names
  std::uint64_t total_size = 0;              // of all tensors; 0 if not told

  // Each file once, sorted.
  std::vector<std::string> Shards() const;
};

// Reads the JSON of an index.
//
// Errors: kCorrupt for what is no such JSON, or a file name that is not one of
// a file in the same folder: `..`, a path.
Result<ShardIndex> ParseIndex(std::span<const std::byte> json);

// The index of a set, as the transformers library writes it.
std::string IndexJson(const ShardIndex& index);

// One layout of a set: `shards` holds those of index.Shards(), in that order;
// `name` is the path of the index. Tensors that the index does not list, and a
// wrong total size, are told in Layout::warnings.
//
// Errors: kCorrupt, naming both, for a tensor that its file lacks.
Result<Layout> JoinShards(const std::string& name, const ShardIndex& index,
                          std::vector<Layout> shards);

// Cuts the tensors, in their order, into runs of at most `most_bytes`, or of
// one tensor.
std::vector<std::vector<FlatTensor>> SplitTensors(
    std::vector<FlatTensor> tensors, uint64_t most_bytes);

// "model-00002-of-00003.safetensors" for the second (1) of 3 of
// "model.safetensors"; the suffix may be missing.
std::string ShardName(std::string_view name, size_t shard, size_t shards);

// "model.safetensors.index.json" for "model.safetensors".
std::string IndexName(std::string_view name);

}  // namespace caisson::safetensors
