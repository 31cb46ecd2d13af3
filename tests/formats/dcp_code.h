// SPDX-License-Identifier: Apache-2.0
//
// Manifests and .metadata pickles put together part by part.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "tests/formats/pickle_code.h"

namespace caisson::dcp {

// `manifest` with its CRC in place of the zeros.
inline std::string Sealed(std::string manifest) {
  const uint32_t crc = Crc32(0, std::as_bytes(std::span(manifest)));
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", crc);
  const size_t at = manifest.find("00000000");
  return at == std::string::npos ? manifest : manifest.replace(at, 8, text);
}

inline std::string Manifest(const std::string& state,
                            const std::string& storage,
                            const std::string& planner = "null") {
  return Sealed(
      R"({"format":"caisson.dcp","version":1,"crc32":"00000000","state":{)" +
      state + R"(},"planner":)" + planner + R"(,"storage":[)" + storage + "]}");
}

inline std::string Numbers(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (const int64_t number : numbers) {
    if (text.size() > 1) text += ",";
    text += std::to_string(number);
  }
  return text + "]";
}

// A chunk's offsets and sizes.
using Box = std::pair<std::vector<int64_t>, std::vector<int64_t>>;

// The entry of a tensor "t" in `state`.
inline std::string TensorEntry(const std::vector<int64_t>& size,
                               const std::vector<Box>& chunks,
                               const std::string& dtype = "float32") {
  std::string text = R"("t":{"dtype":")" + dtype + R"(","size":)" +
                     Numbers(size) + R"(,"requires_grad":false,"chunks":[)";
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (i > 0) text += ",";
    text += R"({"offsets":)" + Numbers(chunks[i].first) + R"(,"sizes":)" +
            Numbers(chunks[i].second) + "}";
  }
  return text + "]}";
}

// The entry of a chunk of "t", or of a value where `offset` is "null".
inline std::string PlaceEntry(const std::string& offset,
                              const std::string& file = "a.pt",
                              const std::string& fqn = "t") {
  return R"({"fqn":")" + fqn + R"(","offset":)" + offset +
         R"(,"index":null,"file":")" + file +
         R"(","record":"data/0","at":64,"bytes":12,"crc32":5})";
}

// A manifest of one tensor "t" with all its places.
inline std::string ManifestOf(const std::vector<int64_t>& size,
                              const std::vector<Box>& chunks) {
  std::string storage;
  for (const Box& chunk : chunks) {
    if (!storage.empty()) storage += ",";
    storage += PlaceEntry(Numbers(chunk.first));
  }
  return Manifest(TensorEntry(size, chunks), storage);
}

// A tuple of integers within torch.Size(...).
inline std::string SizeCode(const std::vector<int64_t>& numbers) {
  std::string code = pickle::Class("torch", "Size") + "(";
  for (const int64_t number : numbers) code += pickle::Int(number);
  return code + "t\x85R";
}

// cls.__new__(cls) and a BUILD with those attributes.
inline std::string ObjectCode(
    const std::string& module, const std::string& name,
    const std::vector<std::pair<std::string, std::string>>& attributes) {
  std::string code = pickle::Class(module, name) + ")\x81}(";
  for (const auto& [key, value] : attributes) code += pickle::Str(key) + value;
  return code + "ub";
}

inline const std::string kModule = "torch.distributed.checkpoint.metadata";

inline std::string TensorCode(const std::vector<int64_t>& size,
                              const std::vector<Box>& chunks,
                              const std::string& dtype = "float32") {
  std::string list = "](";
  for (const Box& chunk : chunks) {
    list += ObjectCode(kModule, "ChunkStorageMetadata",
                       {{"offsets", SizeCode(chunk.first)},
                        {"sizes", SizeCode(chunk.second)}});
  }
  list += "e";
  const std::string properties =
      pickle::Class(kModule, "TensorProperties") + ")\x81(" +
      pickle::Class("torch", dtype) +
      pickle::Class("torch.serialization", "_get_layout") +
      pickle::Str("torch.strided") + "\x85R\x89" +
      pickle::Class(kModule, "_MEM_FORMAT_ENCODING") + pickle::Int(0) +
      "\x85R\x89tb";
  return ObjectCode(
      kModule, "TensorStorageMetadata",
      {{"properties", properties}, {"size", SizeCode(size)}, {"chunks", list}});
}

inline std::string BytesCode() {
  return pickle::Class(kModule, "BytesStorageMetadata") + ")\x81";
}

// A key and a value of storage_data; `offset` empty: without one.
inline std::string PlaceCode(const std::string& fqn, const std::string& offset,
                             const std::string& file = "__0_0.distcp",
                             int64_t at = 0, int64_t bytes = 100) {
  std::vector<std::pair<std::string, std::string>> index = {
      {"fqn", pickle::Str(fqn)}, {"index", "N"}};
  if (!offset.empty()) index.emplace_back("offset", offset);
  return ObjectCode(kModule, "MetadataIndex", index) +
         ObjectCode("torch.distributed.checkpoint.filesystem", "_StorageInfo",
                    {{"relative_path", pickle::Str(file)},
                     {"offset", pickle::Int(at)},
                     {"length", pickle::Int(bytes)}});
}

// Keys and values of dicts.
inline std::string MetadataCode(const std::string& state,
                                const std::string& storage,
                                const std::string& planner = "N") {
  return "\x80\x04" +
         ObjectCode(kModule, "Metadata",
                    {{"state_dict_metadata", "}(" + state + "u"},
                     {"planner_data", planner},
                     {"storage_data", "}(" + storage + "u"},
                     {"version", pickle::Str("1.0.0")}}) +
         ".";
}

}  // namespace caisson::dcp
