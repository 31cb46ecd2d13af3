// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/blob_layout.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "core/base/status_macros.h"

namespace caisson::caffe2 {
namespace {

constexpr uint64_t kMaxString = uint64_t{1} << 20;  // that is part of the state

// torch's name of where the tensor lay.
std::string LocationOf(const TensorMessage& fields) {
  if (!fields.device_detail) return "cpu";
  const DeviceMessage& device = *fields.device_detail;
  const int32_t type = device.device_type.value_or(kDeviceCpu);
  if (type != kDeviceCuda && type != kDeviceHip) return "cpu";
  return "cuda:" + std::to_string(device.device_id.value_or(0));
}

// All of `extent`, which lies in the file.
Result<std::string> Fetch(const ByteSource& source, Extent extent) {
  std::string bytes;
  try {
    bytes.resize(extent.bytes);
  } catch (const std::exception&) {  // bad_alloc or length_error
    return Status::OutOfMemory("a record of " + std::to_string(extent.bytes) +
                               " bytes");
  }
  CAISSON_RETURN_IF_ERROR(source.ReadExact(
      extent.offset, std::as_writable_bytes(std::span(bytes)), "record"));
  return bytes;
}

}  // namespace

std::string_view BlobNameOf(std::string_view key) {
  return key.substr(0, key.find(kChunkMark));
}

Status BlobLayout::Fail(const Status& status, const std::string& name,
                        uint64_t offset) const {
  return status.WithContext(source_.name() + ": record '" + name + "' at " +
                            std::to_string(offset));
}

BlobLayout::Entry& BlobLayout::EntryOf(const std::string& name, bool* added) {
  const auto [found, is_new] = by_name_.emplace(name, entries_.size());
  if (is_new) {
    entries_.emplace_back();
    entries_.back().name = name;
  }
  *added = is_new;
  return entries_[found->second];
}

Status BlobLayout::AddBlob(const std::string& key, Extent where,
                           const BlobRecord& blob) {
  const std::string name(BlobNameOf(key));
  const auto corrupt = [&](const std::string& problem) {
    return Fail(Status::Corrupt(problem), key, where.offset);
  };
  if (blob.name && *blob.name != name) {
    return corrupt("the blob's name is '" + *blob.name + "'");
  }
  if (!blob.type) return corrupt("a blob without a type");
  const bool chunked = blob.num_chunks.has_value();
  if (*blob.type != "Tensor" || !blob.tensor || chunked) {
    if (*blob.type == "Tensor") {
      return corrupt(chunked ? "content chunks of a tensor"
                             : "a tensor without one");
    }
    return AddContent(name, where, blob);
  }
  TensorRecord tensor = *blob.tensor;
  tensor.plain = tensor.plain && blob.plain;
  CAISSON_RETURN_IF_ERROR(AddPart(name, where, true, tensor));
  if (name.size() < key.size()) return Status::Ok();
  const auto index = by_name_.find(name);
  if (index == by_name_.end()) return Status::Ok();
  const Entry& entry = entries_[index->second];
  if (entry.parts.empty()) return Status::Ok();
  const Chunk& chunk = entry.parts.back().chunk;
  if (chunk.begin != 0 || chunk.end != chunk.total) {
    return corrupt("a chunk whose key has no number");
  }
  warnings_.push_back("record '" + key + "': a tensor's key without " +
                      std::string(kChunkMark));
  return Status::Ok();
}

Status BlobLayout::AddTensor(const std::string& name, Extent where,
                             const TensorRecord& tensor) {
  if (by_name_.contains(name)) {
    return Fail(Status::Corrupt("the name is that of two tensors"), name,
                where.offset);
  }
  return AddPart(name, where, false, tensor);
}

Status BlobLayout::AddPart(const std::string& name, Extent where, bool blob,
                           const TensorRecord& tensor) {
  const Result<Chunk> chunk = ChunkOf(tensor.fields);
  if (!chunk && chunk.error().code() == StatusCode::kUnsupported) {
    AddOther(name + ": " + std::string(chunk.error().message()), where);
    return Status::Ok();
  }
  if (!chunk) return Fail(chunk.error(), name, where.offset);
  bool added = false;
  Entry& entry = EntryOf(name, &added);
  if (!added && entry.parts.empty()) {
    return Fail(Status::Corrupt("the name is that of two blobs"), name,
                where.offset);
  }
  if (!added && !chunk->segment) {
    return Fail(Status::Corrupt("a second record without a segment"), name,
                where.offset);
  }
  Part part;
  part.chunk = *chunk;
  part.where = where;
  part.blob = blob;
  part.plain = tensor.plain;
  if (part.plain) {
    const Result<Piece> piece = PieceOf(*chunk, tensor);
    if (!piece) return Fail(piece.error(), name, where.offset);
    part.piece = *piece;
  }
  if (added) {
    entry.location = LocationOf(tensor.fields);
    entry.where = where;
  }
  entry.parts.push_back(std::move(part));
  return Status::Ok();
}

Status BlobLayout::AddContent(const std::string& name, Extent where,
                              const BlobRecord& blob) {
  bool added = false;
  Entry& entry = EntryOf(name, &added);
  const auto corrupt = [&](const std::string& problem) {
    return Fail(Status::Corrupt(problem), name, where.offset);
  };
  if (added) {
    entry.type = *blob.type;
    entry.num_chunks = blob.num_chunks;
    entry.where = where;
  }
  if (!entry.parts.empty() || (!added && !blob.num_chunks) ||
      entry.num_chunks != blob.num_chunks || entry.type != *blob.type) {
    return corrupt("blob duplicated");
  }
  if (blob.num_chunks) {
    const int32_t id = blob.chunk_id.value_or(-1);
    if (id < 0 || id >= *blob.num_chunks ||
        std::ranges::find(entry.chunk_ids, id) != entry.chunk_ids.end()) {
      return corrupt("content chunk " + std::to_string(id) + " of " +
                     std::to_string(*blob.num_chunks) +
                     ", which is out of range or there twice");
    }
    entry.chunk_ids.push_back(id);
    return Status::Ok();
  }
  const bool string = entry.type == "std::string" &&
                      (!blob.content || blob.content->bytes <= kMaxString);
  if (!string) return Status::Ok();
  entry.string.emplace();
  if (!blob.content) return Status::Ok();
  CAISSON_ASSIGN_OR_RETURN(entry.string, Fetch(source_, *blob.content));
  return Status::Ok();
}

Status BlobLayout::AddDecoded(const std::string& name,
                              const TensorMessage& tensor) {
  TensorRecord record;
  record.fields.dims = tensor.dims;
  record.fields.data_type = tensor.data_type;
  record.fields.segment = tensor.segment;
  record.fields.data_format = tensor.data_format;
  record.fields.device_detail = tensor.device_detail;
  record.plain = false;
  const size_t others = others_.size();
  CAISSON_RETURN_IF_ERROR(AddTensor(name, {}, record));
  if (others_.size() > others) return Status::Ok();
  Part& part = entries_.back().parts.back();
  const Status appended = Append(part, tensor, false);
  return appended.ok() ? appended : Fail(appended, name, 0);
}

void BlobLayout::AddOther(std::string what, Extent where) {
  OtherRecord other;
  other.record = std::move(what);
  other.piece.offset = where.offset;
  other.piece.stored_bytes = other.piece.elems = where.bytes;
  other.extra = true;
  others_.push_back(std::move(other));
}

Status BlobLayout::Decode(Part& part, bool widen) {
  CAISSON_ASSIGN_OR_RETURN(const std::string bytes, Fetch(source_, part.where));
  if (!part.blob) {
    CAISSON_ASSIGN_OR_RETURN(const TensorMessage tensor, DecodeTensor(bytes));
    return Append(part, tensor, widen);
  }
  CAISSON_ASSIGN_OR_RETURN(const BlobMessage blob, DecodeBlob(bytes));
  if (!blob.tensor) return Status::Corrupt("a blob without a tensor");
  return Append(part, *blob.tensor, widen);
}

Status BlobLayout::Append(Part& part, const TensorMessage& tensor, bool widen) {
  CAISSON_ASSIGN_OR_RETURN(part.chunk, ChunkOf(tensor));
  CAISSON_ASSIGN_OR_RETURN(const std::string elems,
                           ElementsOf(part.chunk, tensor, widen));
  if (widen && part.chunk.dtype == DType::kBFloat16) {
    part.chunk.dtype = DType::kFloat32;
  }
  part.plain = true;
  part.piece = Piece();
  part.piece.source = 1;
  part.piece.offset = image_.size();
  part.piece.stored_bytes = elems.size();
  part.piece.first_elem = part.chunk.begin;
  part.piece.elems = part.chunk.end - part.chunk.begin;
  part.piece.order = kNativeOrder;
  try {
    image_ += elems;
  } catch (const std::exception&) {
    return Status::OutOfMemory("decoded tensors of " +
                               std::to_string(image_.size()) + " bytes");
  }
  return Status::Ok();
}

// Whether the chunks are one tensor: of one shape and type, every element in
// one of them.
Status BlobLayout::CheckParts(Entry& entry) {
  std::vector<Part>& parts = entry.parts;
  // Where one has to be decoded all are, so that they lie in one source; floats
  // in two formats become those of the wide one.
  const bool mixed = std::ranges::any_of(parts, [&](const Part& part) {
    return part.chunk.format != parts.front().chunk.format;
  });
  const bool decode =
      mixed ||
      !std::ranges::all_of(parts, [](const Part& part) { return part.plain; });
  for (Part& part : parts) {
    if (!decode || part.piece.source == 1) continue;
    const Status decoded = Decode(part, mixed);
    if (!decoded.ok()) return Fail(decoded, entry.name, part.where.offset);
  }
  std::ranges::stable_sort(parts, [](const Part& a, const Part& b) {
    return std::pair(a.chunk.begin, a.chunk.end) <
           std::pair(b.chunk.begin, b.chunk.end);
  });
  const Chunk& first = parts.front().chunk;
  uint64_t next = 0;
  for (const Part& part : parts) {
    const auto corrupt = [&](const std::string& problem) {
      return Fail(Status::Corrupt(problem), entry.name, part.where.offset);
    };
    if (part.chunk.shape != first.shape || part.chunk.dtype != first.dtype) {
      return corrupt("chunks that differ in shape or data type");
    }
    if (part.chunk.begin != next ||
        (part.chunk.total == 0 && parts.size() > 1)) {
      return corrupt("data size mismatch: a chunk begins at element " +
                     std::to_string(part.chunk.begin) + ", expected " +
                     std::to_string(next));
    }
    next = part.chunk.end;
  }
  if (next == first.total) return Status::Ok();
  return Fail(
      Status::Corrupt("data size mismatch: " + std::to_string(next) + " of " +
                      std::to_string(first.total) + " elements"),
      entry.name, entry.where.offset);
}

Status BlobLayout::Place(Entry& entry, Layout* layout) {
  CAISSON_RETURN_IF_ERROR(CheckParts(entry));
  const Chunk& chunk = entry.parts.front().chunk;
  TensorView view;
  view.spec.dtype = chunk.dtype;
  view.spec.shape = chunk.shape;
  view.strides = RowMajorStrides(view.spec.shape);
  view.storage = std::make_shared<Storage>();
  view.storage->region.bytes = view.spec.bytes();
  view.storage->dtype = chunk.dtype;
  view.storage->location = Text(entry.location);
  view.spec.name = entry.name;
  if (const Status valid = view.Validate(); !valid.ok()) {
    return Status::Unsupported(source_.name() + ": " +
                               std::string(valid.message()));
  }
  StorageLayout storage;
  storage.record = entry.name;
  storage.dtype = chunk.dtype;
  storage.bytes = view.storage->region.bytes;
  storage.handle = view.storage;
  for (const Part& part : entry.parts) storage.pieces.push_back(part.piece);
  TensorLayout tensor;
  tensor.path = {entry.name};
  tensor.view = view;
  tensor.storage = layout->storages.size();
  view.spec.name.clear();
  CAISSON_RETURN_IF_ERROR(
      layout->state.root.As<Dict>()->Set(Node(entry.name), Node(view)));
  layout->storages.push_back(std::move(storage));
  layout->tensors.push_back(std::move(tensor));
  return Status::Ok();
}

Result<ParsedBlobs> BlobLayout::Finish() {
  ParsedBlobs parsed;
  Layout& layout = parsed.layout;
  layout.sources = {source_.name()};
  for (Entry& entry : entries_) {
    if (!entry.parts.empty()) {
      CAISSON_RETURN_IF_ERROR(Place(entry, &layout));
    } else if (entry.string) {
      Bytes bytes;
      bytes.data = std::move(*entry.string);
      CAISSON_RETURN_IF_ERROR(layout.state.root.As<Dict>()->Set(
          Node(entry.name), Node(std::move(bytes))));
    } else {
      const auto chunks = static_cast<int32_t>(entry.chunk_ids.size());
      if (chunks != entry.num_chunks.value_or(chunks)) {
        return Fail(Status::Corrupt("content chunks are missing"), entry.name,
                    entry.where.offset);
      }
      AddOther(entry.name + ": a blob of type '" + entry.type + "'",
               entry.where);
    }
  }
  layout.others = std::move(others_);
  layout.warnings = std::move(warnings_);
  if (!image_.empty()) {
    layout.sources.push_back(source_.name());
    parsed.image = std::make_shared<const std::string>(std::move(image_));
  } else {
    // What was decoded and has no elements lies nowhere.
    for (StorageLayout& storage : layout.storages) {
      for (Piece& piece : storage.pieces) piece.source = 0;
    }
  }
  return parsed;
}

}  // namespace caisson::caffe2
