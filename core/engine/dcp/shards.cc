// SPDX-License-Identifier: Apache-2.0
#include "core/engine/dcp/shards.h"

#include <algorithm>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/dcp/part_adapter.h"
#include "core/engine/read/storage_crc.h"
#include "core/engine/read/storage_io.h"

namespace caisson {
namespace {

// Of a value that is compressed, which is decoded when the checkpoint is
// opened: more than this must not be more than so many times what is stored.
constexpr uint64_t kMostDecoded = uint64_t{64} << 20;
constexpr uint64_t kMostRatio = 64;

// Of all values of a checkpoint: its files may be decoded to so many times
// their size, and kMostDecoded more.
constexpr uint64_t kMostRatioOfAll = 16;

}  // namespace

Result<StoredChunk> DcpShards::Tensor(const std::string& fqn,
                                      const dcp::Place& place) {
  if (place.record) return Record(fqn, place);
  CAISSON_ASSIGN_OR_RETURN(const uint32_t source, SourceOf(place.file));
  CAISSON_ASSIGN_OR_RETURN(Layout item,
                           OpenPart(source, place.offset, place.bytes));
  if (item.tensors.size() != 1) {
    return Status::Corrupt(item.sources.front() + ": '" + fqn +
                           "': expected one tensor, found " +
                           std::to_string(item.tensors.size()));
  }
  const TensorLayout& tensor = item.tensors.front();
  return StoredChunk{std::move(item.storages[tensor.storage]), tensor.view};
}

Result<Layout> DcpShards::Value(const std::string& fqn,
                                const dcp::Place& place) {
  if (!place.record) {
    CAISSON_ASSIGN_OR_RETURN(const uint32_t source, SourceOf(place.file));
    return OpenPart(source, place.offset, place.bytes);
  }
  CAISSON_ASSIGN_OR_RETURN(const StoredChunk record, Record(fqn, place));
  const StorageLayout& storage = record.storage;
  const Piece& piece = storage.pieces.front();
  if (storage.pieces.size() == 1 && piece.encoding == Encoding::kRaw) {
    return OpenPart(piece.source, piece.offset, piece.stored_bytes);
  }
  const ByteSource& file = opened_.shards[piece.source - 1];
  if (storage.bytes > kMostDecoded &&
      storage.bytes / kMostRatio > StoredBytesOf(storage)) {
    return Status::Unsupported(file.name() + ": '" + fqn + "': a value of " +
                               std::to_string(storage.bytes) +
                               " bytes, compressed to " +
                               std::to_string(StoredBytesOf(storage)));
  }
  CAISSON_RETURN_IF_ERROR(ChargeDecoded(storage.bytes));
  uint32_t& known = decoded_[{place.file, *place.record}];
  if (known != 0) return OpenArchive(adapters_[known - 1], known, 0);
  CAISSON_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(storage.bytes));
  CAISSON_RETURN_IF_ERROR(
      ReadStorage(file, storage, 0, buffer.bytes(), CrcCheck::kOn).status());
  auto owner = std::make_shared<const Buffer>(std::move(buffer));
  auto adapter =
      std::make_shared<const MemoryAdapter>(owner->bytes(), file.name(), owner);
  const auto source = static_cast<uint32_t>(opened_.shards.size() + 1);
  CAISSON_ASSIGN_OR_RETURN(Layout value, OpenArchive(adapter, source, 0));
  // Kept for the tensors in it.
  if (!value.storages.empty()) known = AddSource(std::move(adapter));
  return value;
}

uint32_t DcpShards::AddSource(std::shared_ptr<const ReadAdapter> adapter) {
  opened_.layout.sources.push_back(adapter->name());
  adapters_.push_back(adapter);
  named_bytes_.push_back(0);
  opened_.shards.emplace_back(std::move(adapter));
  return static_cast<uint32_t>(opened_.shards.size());
}

// The number of a file among the sources, opened when it is first named.
Result<uint32_t> DcpShards::SourceOf(const std::string& file) {
  const auto known = files_.find(file);
  if (known != files_.end()) return known->second;
  CAISSON_ASSIGN_OR_RETURN(const std::string path, ShardPath(at_, file));
  auto adapter = open_(path);
  if (!adapter) {
    return adapter.error().WithContext(at_.metadata + ": a shard");
  }
  const uint32_t source = AddSource(*std::move(adapter));
  file_bytes_ =
      CheckedAdd(file_bytes_, adapters_.back()->size()).value_or(UINT64_MAX);
  files_.emplace(file, source);
  return source;
}

Result<const DcpShards::Archive*> DcpShards::ArchiveOf(
    const std::string& file) {
  const auto known = archives_.find(file);
  if (known != archives_.end()) return &known->second;
  CAISSON_ASSIGN_OR_RETURN(const uint32_t source, SourceOf(file));
  CAISSON_ASSIGN_OR_RETURN(Layout layout,
                           OpenArchive(adapters_[source - 1], source, 0));
  Archive& archive = archives_[file];
  archive.layout = std::move(layout);
  archive.tensors.resize(archive.layout.storages.size());
  for (size_t i = 0; i < archive.layout.storages.size(); ++i) {
    archive.storages.emplace(archive.layout.storages[i].record, i);
  }
  for (const TensorLayout& tensor : archive.layout.tensors) {
    const TensorLayout*& first = archive.tensors[tensor.storage];
    if (first == nullptr) first = &tensor;
  }
  return &archive;
}

// A record of an archive, as the manifest has it.
Result<StoredChunk> DcpShards::Record(const std::string& fqn,
                                      const dcp::Place& place) {
  CAISSON_ASSIGN_OR_RETURN(const Archive* archive, ArchiveOf(place.file));
  const uint32_t source = files_.at(place.file);
  const std::string& name = opened_.layout.sources[source];
  const auto found = archive->storages.find(*place.record);
  const TensorLayout* tensor = found != archive->storages.end()
                                   ? archive->tensors[found->second]
                                   : nullptr;
  if (tensor == nullptr) {
    return Status::Corrupt(name + ": record '" + *place.record +
                           "': missing, which holds '" + fqn + "'");
  }
  const StorageLayout& storage = archive->layout.storages[found->second];
  const uint64_t stored = StoredBytesOf(storage);
  const uint32_t crc = CrcOf(storage).value_or(0);
  if (stored != place.bytes || (stored > 0 && crc != place.crc32)) {
    return Status::Corrupt(name + ": record '" + *place.record +
                           "': not the one that the manifest has for '" + fqn +
                           "'");
  }
  CAISSON_RETURN_IF_ERROR(Charge(source, stored));
  return StoredChunk{storage, tensor->view};
}

// An archive within a file.
Result<Layout> DcpShards::OpenPart(uint32_t source, uint64_t offset,
                                   uint64_t bytes) {
  const ByteSource& file = opened_.shards[source - 1];
  if (!FitsWithin(offset, bytes, file.size())) {
    return file.Corrupt(offset, "archive",
                        "needs " + std::to_string(bytes) +
                            " bytes, the file has " +
                            std::to_string(file.size()));
  }
  CAISSON_RETURN_IF_ERROR(Charge(source, bytes));
  return OpenArchive(
      std::make_shared<PartAdapter>(adapters_[source - 1], offset, bytes),
      source, offset);
}

// An archive of torch.save, whose pieces lie `base` further on in the file
// `source`.
Result<Layout> DcpShards::OpenArchive(
    std::shared_ptr<const ReadAdapter> adapter, uint32_t source,
    uint64_t base) {
  const std::string name = adapter->name();
  ReaderOptions options;
  options.strict = options_.strict;
  CAISSON_ASSIGN_OR_RETURN(OpenedFile opened,
                           OpenFile(std::move(adapter), options));
  if (opened.layout.format != "pytorch") {
    return Status::Corrupt(name + ": a " + opened.layout.format +
                           " file, expected an archive of torch.save");
  }
  for (const Global& global : opened.unknown) {
    if (std::ranges::find(opened_.unknown, global) == opened_.unknown.end()) {
      opened_.unknown.push_back(global);
    }
  }
  for (StorageLayout& storage : opened.layout.storages) {
    if (storage.pieces.empty()) storage.pieces.emplace_back();
    for (Piece& piece : storage.pieces) {
      piece.source = source;
      piece.offset += base;
    }
  }
  return std::move(opened.layout);
}

// Metadata that names the same bytes again and again would fill the memory with
// what is in them.
Status DcpShards::Charge(uint32_t source, uint64_t bytes) {
  const ByteSource& file = opened_.shards[source - 1];
  uint64_t& named = named_bytes_[source - 1];
  named = CheckedAdd(named, bytes).value_or(UINT64_MAX);
  if (named / kMostTimesNamed <= file.size()) return Status::Ok();
  return Status::Corrupt(file.name() +
                         ": the metadata names more than it holds");
}

// Records that are small as they are stored would fill it as well. One that is
// named again is parsed again, which takes as much.
Status DcpShards::ChargeDecoded(uint64_t bytes) {
  decoded_bytes_ = CheckedAdd(decoded_bytes_, bytes).value_or(UINT64_MAX);
  if (decoded_bytes_ <= kMostDecoded ||
      (decoded_bytes_ - kMostDecoded) / kMostRatioOfAll <= file_bytes_) {
    return Status::Ok();
  }
  return Status::Corrupt(
      at_.metadata + ": values of " + std::to_string(decoded_bytes_) +
      " bytes when decoded, from files of " + std::to_string(file_bytes_));
}

}  // namespace caisson
