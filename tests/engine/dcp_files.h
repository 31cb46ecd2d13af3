// SPDX-License-Identifier: Apache-2.0
//
// Distributed checkpoints as caisson.dcp writes them: each shard an archive of
// chunks, then the manifest.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "caisson/writer.h"
#include "tests/engine/state_files.h"
#include "tests/formats/dcp_code.h"

namespace caisson {

// Chunks of tensors, of which each shard gets some.
class DcpFiles {
 public:
  explicit DcpFiles(std::string folder) : folder_(std::move(folder)) {}

  // A tensor with random bytes, cut at multiples of `cut` in each dimension;
  // its chunks go to the shards in turn.
  void Add(const std::string& name, DType dtype,
           const std::vector<int64_t>& shape, const std::vector<int64_t>& cut,
           size_t shards, uint64_t seed) {
    TensorView whole = RandomTensor(dtype, shape, seed);
    expected_[name] = whole;
    std::vector<dcp::Box> boxes;
    std::vector<int64_t> at(shape.size(), 0);
    while (true) {
      std::vector<int64_t> sizes = cut;
      for (size_t d = 0; d < at.size(); ++d) {
        sizes[d] = std::min(cut[d], shape[d] - at[d]);
      }
      boxes.emplace_back(at, sizes);
      size_t d = at.size();
      while (d > 0 && (at[d - 1] += cut[d - 1]) >= shape[d - 1]) at[--d] = 0;
      if (d == 0) break;
    }
    for (size_t i = 0; i < boxes.size(); ++i) {
      AddChunk(name, whole, boxes[i], i % shards);
    }
    std::string entry =
        dcp::TensorEntry(shape, boxes, std::string(Name(dtype)));
    state_.push_back(entry.replace(1, 1, name));  // "t" in the example
  }

  // Chunks of a vector that was taken from them, as they are.
  void AddParts(const std::string& name, const std::vector<TensorView>& parts) {
    std::vector<dcp::Box> boxes;
    int64_t at = 0;
    for (const TensorView& part : parts) {
      boxes.push_back({{at}, part.spec.shape});
      const std::string offsets = dcp::Numbers({at});
      shards_[0].push_back({name, name + "@" + offsets, offsets, part});
      at += part.spec.shape[0];
    }
    const DType dtype = parts.front().spec.dtype;
    std::string entry = dcp::TensorEntry({at}, boxes, std::string(Name(dtype)));
    state_.push_back(entry.replace(1, 1, name));
  }

  // A value that is no tensor, whose archive has the bytes `archive`.
  void AddValue(const std::string& name, const std::string& archive) {
    auto bytes = std::make_shared<ByteVector>(archive.size());
    std::memcpy(bytes->data(), archive.data(), archive.size());
    shards_[0].push_back(
        {name, name, "null",
         DenseTensor(DType::kUInt8, {static_cast<int64_t>(archive.size())},
                     bytes->data(), bytes)});
    state_.push_back("\"" + name + R"(":{"bytes":true})");
  }

  // Writes all of it; the paths are the names.
  void Write(CompressMode compress = CompressMode::kNone) {
    WriteOptions options;
    options.sync = false;
    options.compress = compress;
    std::string places;
    for (auto& [shard, chunks] : shards_) {
      State state;
      for (const Chunk& chunk : chunks) state[chunk.key] = chunk.view;
      const std::string path = PathOf(shard);
      ASSERT_THAT(Writer(options).Write(state, path).status(), IsOk());
      const auto reader = Reader::Open(path);
      ASSERT_THAT(reader.status(), IsOk());
      for (const Chunk& chunk : chunks) {
        const auto info = reader->Find(chunk.key);
        ASSERT_THAT(info.status(), IsOk());
        if (!places.empty()) places += ",";
        places += Entry(chunk, FileOf(shard), **info);
      }
    }
    std::string state;
    for (const std::string& entry : state_) {
      if (!state.empty()) state += ",";
      state += entry;
    }
    Put(folder_ + "/caisson.json", dcp::Manifest(state, places));
  }

  static std::string FileOf(size_t shard) {
    return "__" + std::to_string(shard) + "_" + std::string(32, 'a') + ".pt";
  }
  std::string PathOf(size_t shard) const {
    return folder_ + "/" + FileOf(shard);
  }
  const std::string& folder() const { return folder_; }

  // The whole tensors, in order of their names.
  const std::map<std::string, TensorView>& expected() const {
    return expected_;
  }

 private:
  struct Chunk {
    std::string fqn;
    std::string key;
    std::string offsets;
    TensorView view;
  };

  void AddChunk(const std::string& name, const TensorView& whole,
                const dcp::Box& box, size_t shard) {
    TensorView part = whole;
    for (size_t d = 0; d < box.first.size(); ++d) {
      part.offset += static_cast<uint64_t>(box.first[d] * whole.strides[d]);
    }
    part.spec.shape = box.second;
    auto bytes = std::make_shared<ByteVector>(PlainGather(part));
    const std::string offsets = dcp::Numbers(box.first);
    shards_[shard].push_back(
        {name, name + "@" + offsets, offsets,
         DenseTensor(whole.spec.dtype, box.second, bytes->data(), bytes)});
  }

  static std::string Entry(const Chunk& chunk, const std::string& file,
                           const TensorInfo& info) {
    return R"({"fqn":")" + chunk.fqn + R"(","offset":)" + chunk.offsets +
           R"(,"index":null,"file":")" + file + R"(","record":")" +
           info.record + R"(","at":)" + std::to_string(info.offset) +
           R"(,"bytes":)" + std::to_string(info.stored_bytes) + R"(,"crc32":)" +
           std::to_string(info.crc32.value_or(0)) + "}";
  }

  const std::string folder_;
  std::map<std::string, TensorView> expected_;
  std::vector<std::string> state_;
  std::map<size_t, std::vector<Chunk>> shards_;
};

}  // namespace caisson
