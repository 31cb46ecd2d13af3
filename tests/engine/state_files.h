// SPDX-License-Identifier: Apache-2.0
//
// States and the files of them that engine tests read and write, and a plain
// loop over a view, which is what every read must agree with.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/archive.h"
#include "caisson/reader.h"
#include "caisson/state.h"
#include "caisson/writer.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/pattern_tensor.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/zip_builder.h"

namespace caisson {

using ByteVector = std::vector<std::byte>;

// A dense tensor of random bytes that it owns. Equal seeds, equal bytes.
inline TensorView RandomTensor(DType dtype, std::vector<int64_t> shape,
                               uint64_t seed) {
  const TensorSpec spec{"", dtype, shape};
  auto bytes = std::make_shared<ByteVector>(RandomBytes(spec.bytes(), seed));
  return DenseTensor(dtype, std::move(shape), bytes->data(), bytes);
}

inline std::span<std::byte> BytesOf(const Storage& storage) {
  return {storage.region.data, storage.region.bytes};
}

// The elements [begin, end) of each dimension of a view over `storage`, one
// by one. `block` empty: all of them.
inline ByteVector PlainGather(std::span<const std::byte> storage,
                              const TensorView& view,
                              const std::vector<Range>& block = {}) {
  const size_t width = ByteWidth(view.spec.dtype);
  ByteVector elements;
  const std::function<void(size_t, uint64_t)> walk = [&](size_t d,
                                                         uint64_t at) {
    if (d == view.spec.shape.size()) {
      const std::byte* element = &storage[at * width];
      elements.insert(elements.end(), element, element + width);
      return;
    }
    const Range all{0, view.spec.shape[d]};
    const Range range = block.empty() ? all : block[d];
    for (int64_t i = range.begin; i < range.end; ++i) {
      walk(d + 1, at + static_cast<uint64_t>(i * view.strides[d]));
    }
  };
  walk(0, view.offset);
  return elements;
}

inline ByteVector PlainGather(const TensorView& resident) {
  return PlainGather(BytesOf(*resident.storage), resident);
}

// The file that `state` gives, in the folder "archive" unless its profile
// names another.
inline std::string FileOf(const State& state,
                          const WriteOptions& options = {}) {
  const ScratchDirectory scratch;
  WriteOptions quick = options;
  quick.sync = false;
  const std::string path = scratch / "archive.pt";
  EXPECT_THAT(Writer(quick).Write(state, path).status(), IsOk());
  return Content(path);
}

inline std::shared_ptr<MemoryAdapter> InMemory(std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return std::make_shared<MemoryAdapter>(AsBytes(*owner), "model.pt", owner);
}

inline Result<Reader> OpenBytes(std::string bytes,
                                const ReaderOptions& options = {}) {
  return Reader::Open(InMemory(std::move(bytes)), options);
}

// A file taken apart, to be put together in another way.
struct Records {
  struct Item {
    std::string name;  // with its folder
    std::string content;
    uint64_t offset;  // of the content in the file
  };
  std::vector<Item> items;

  Item& operator[](std::string_view name) {
    for (Item& item : items) {
      if (item.name == "archive/" + std::string(name)) return item;
    }
    ADD_FAILURE() << "no record " << name;
    return items.front();
  }
};

inline Records RecordsOf(const std::string& file) {
  Records records;
  const auto archive = PyTorchStreamReader::Open(InMemory(file));
  EXPECT_THAT(archive.status(), IsOk());
  if (!archive.has_value()) return records;
  for (const std::string& name : archive->getAllRecords()) {
    const auto offset = archive->getRecordOffset(name);
    const auto bytes = archive->getRecordSize(name);
    if (!offset.has_value() || !bytes.has_value()) continue;
    records.items.push_back({archive->archiveName() + "/" + name,
                             file.substr(*offset, *bytes), *offset});
  }
  return records;
}

// The archive of `records` with every CRC right.
inline ZipBuilder Rebuilt(const Records& records) {
  ZipBuilder zip;
  for (const auto& item : records.items) zip.Add(item.name, item.content);
  return zip;
}

// Reverses each unit of `width` bytes.
inline std::string Swapped(std::string bytes, size_t width) {
  for (size_t at = 0; at + width <= bytes.size(); at += width) {
    for (size_t i = 0; i < width / 2; ++i) {
      std::swap(bytes[at + i], bytes[at + width - 1 - i]);
    }
  }
  return bytes;
}

// Hands on another adapter's bytes, counts them, and notes where they lay.
class CountingAdapter : public ReadAdapter {
 public:
  explicit CountingAdapter(std::shared_ptr<const ReadAdapter> inner)
      : inner_(std::move(inner)) {}

  const std::string& name() const override { return inner_->name(); }
  uint64_t size() const override { return inner_->size(); }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    ++reads;
    bytes += dst.size();
    return inner_->Read(offset, dst);
  }

  mutable std::atomic<uint64_t> reads = 0;
  mutable std::atomic<uint64_t> bytes = 0;

 private:
  std::shared_ptr<const ReadAdapter> inner_;
};

// Where a request's bytes go.
struct Block {
  const TensorInfo* tensor;
  std::vector<Range> ranges;
  ByteVector bytes;

  Block(const TensorInfo* info, std::vector<Range> block)
      : tensor(info), ranges(std::move(block)) {
    uint64_t elems = ranges.empty() ? info->view.spec.elems() : 1;
    for (const Range& range : ranges) {
      elems *= static_cast<uint64_t>(range.end - range.begin);
    }
    bytes.resize(elems * ByteWidth(info->view.spec.dtype));
  }

  ReadRequest Request() {
    return {tensor, ranges, {bytes.data(), bytes.size(), Device::Cpu()}};
  }
};

// One tensor or block, dense.
inline Result<ByteVector> ReadBlock(const Reader& reader,
                                    const TensorInfo* tensor,
                                    std::vector<Range> ranges = {}) {
  Block block(tensor, std::move(ranges));
  const ReadRequest request = block.Request();
  const auto report = reader.Read(std::span(&request, 1));
  if (!report.has_value()) return report.error();
  return std::move(block.bytes);
}

inline Result<ByteVector> ReadNamed(const Reader& reader,
                                    std::string_view name) {
  const auto tensor = reader.Find(name);
  if (!tensor.has_value()) return tensor.error();
  return ReadBlock(reader, *tensor);
}

}  // namespace caisson
