// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_reader.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/identity_map.h"
#include "core/base/status_macros.h"
#include "core/formats/pickle/unpickler.h"
#include "core/formats/torch/pack_record.h"
#include "core/formats/torch/torch_archive.h"
#include "core/formats/torch/torch_chunks.h"
#include "core/formats/torch/torch_profile.h"
#include "core/formats/torch/torch_semantics.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::torch {
namespace {

// Far beyond any version, alignment or byte order.
constexpr uint64_t kMaxSmallRecord = 4096;

// An object costs some hundred bytes of memory and as little as one byte of
// pickle, and DEFLATE packs a thousand of those into one. torch.save deflates
// nothing; who packs an archive again gains a factor of ten.
constexpr uint64_t kMaxDeflatedPickleRatio = 64;
constexpr uint64_t kDeflatedPickleFloor = uint64_t{256} << 10;

// What torch.save makes of a state, besides its storages.
constexpr std::string_view kOwnRecords[] = {
    "data.pkl", ".format_version", ".storage_alignment",     "byteorder",
    "version",  ".data/version",   ".data/serialization_id", kPackRecord,
};

// Of a pack record: as large as an index of many chunks.
constexpr uint64_t kMaxPackBytes = uint64_t{1} << 30;

class Parser {
 public:
  Parser(const ByteSource& source, RecordSource& records, TorchArchive archive,
         const ParseOptions& options)
      : source_(source),
        records_(records),
        archive_(std::move(archive)),
        options_(options) {}

  Result<ParsedArchive> Run() {
    if (archive_.Find("constants.pkl") != nullptr) {
      return Status::Unsupported(source_.name() +
                                 ": a TorchScript archive (it has a record "
                                 "'constants.pkl'); use torch.jit.load");
    }
    CAISSON_RETURN_IF_ERROR(CheckVersion());
    CAISSON_ASSIGN_OR_RETURN(const ByteOrder order, ReadByteOrder());
    CAISSON_RETURN_IF_ERROR(ReadPack());
    CAISSON_RETURN_IF_ERROR(Unpickle());
    CAISSON_RETURN_IF_ERROR(PlaceStorages(order));
    CAISSON_RETURN_IF_ERROR(PlaceTensors());
    PlaceOthers();
    CAISSON_ASSIGN_OR_RETURN(const uint64_t alignment, ReadAlignment());
    Layout& layout = parsed_.layout;
    layout.format = "pytorch";
    layout.sources = {source_.name()};
    layout.state.profile = DetectProfile(archive_, alignment);
    if (pack_) {
      // That of the file without compression.
      pack_->profile.prefix = layout.state.profile.prefix;
      layout.state.profile = pack_->profile;
    }
    return std::move(parsed_);
  }

 private:
  std::string What(std::string_view record) const {
    return "record '" + std::string(record) + "'";
  }

  Status Corrupt(std::string_view record, const std::string& problem) const {
    return Status::Corrupt(source_.name() + ": " + What(record) + ": " +
                           problem);
  }

  // The content of a small text record; none if there is no such record.
  Result<std::optional<std::string>> SmallRecord(std::string_view name) {
    const zip::Entry* entry = archive_.Find(name);
    if (entry == nullptr) return std::optional<std::string>();
    if (entry->bytes > kMaxSmallRecord) {
      return Corrupt(
          name, std::to_string(entry->bytes) + " bytes, expected a short text");
    }
    CAISSON_ASSIGN_OR_RETURN(const auto bytes,
                             records_.Fetch(PieceOf(*entry), What(name)));
    return std::optional<std::string>(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

  Status CheckVersion() {
    for (const std::string_view name : {".data/version", "version"}) {
      CAISSON_ASSIGN_OR_RETURN(const auto content, SmallRecord(name));
      if (!content) continue;
      return ParseVersion(*content, source_.name() + ": " + What(name))
          .status();
    }
    return Corrupt("version", "missing");
  }

  Result<ByteOrder> ReadByteOrder() {
    CAISSON_ASSIGN_OR_RETURN(const auto content, SmallRecord("byteorder"));
    if (!content || *content == "little") return ByteOrder::kLittle;
    if (*content == "big") return ByteOrder::kBig;
    return Corrupt("byteorder", "neither 'little' nor 'big'");
  }

  // 0 if there is none or it is no number.
  Result<uint64_t> ReadAlignment() {
    CAISSON_ASSIGN_OR_RETURN(const auto content,
                             SmallRecord(".storage_alignment"));
    uint64_t alignment = 0;
    if (content) {
      std::from_chars(content->data(), content->data() + content->size(),
                      alignment);
    }
    return alignment;
  }

  // What a packed file says of itself.
  Status ReadPack() {
    const zip::Entry* entry = archive_.Find(kPackRecord);
    if (entry == nullptr) return Status::Ok();
    if (entry->bytes > kMaxPackBytes || entry->method != zip::kMethodStored) {
      return Corrupt(kPackRecord,
                     "expected an index that is stored, of at "
                     "most a gibibyte");
    }
    CAISSON_ASSIGN_OR_RETURN(
        const auto bytes, records_.Fetch(PieceOf(*entry), What(kPackRecord)));
    Result<PackRecord> pack = ParsePack(bytes);
    if (!pack) {
      return pack.error().WithContext(source_.name() + ": " +
                                      What(kPackRecord));
    }
    pack_ = *std::move(pack);
    for (const PackRecord::Deflated& deflated : pack_->deflated) {
      deflated_.emplace("data/" + std::to_string(deflated.number), &deflated);
    }
    return Status::Ok();
  }

  Status Unpickle() {
    const zip::Entry* entry = archive_.Find("data.pkl");
    if (entry == nullptr) return Corrupt("data.pkl", "missing");
    const uint64_t limit = std::max(
        kDeflatedPickleFloor, kMaxDeflatedPickleRatio * entry->stored_bytes);
    if (entry->method == zip::kMethodDeflate && entry->bytes > limit) {
      return Status::Unsupported(
          source_.name() + ": " + What("data.pkl") + ": " +
          std::to_string(entry->bytes) + " bytes deflated to " +
          std::to_string(entry->stored_bytes) + "; at most " +
          std::to_string(limit) + " are read");
    }
    CAISSON_ASSIGN_OR_RETURN(const auto bytes,
                             records_.Fetch(PieceOf(*entry), What("data.pkl")));
    pickle::Options options;
    options.strict = options_.strict;
    CAISSON_ASSIGN_OR_RETURN(
        pickle::Unpickled unpickled,
        pickle::Unpickle(bytes, source_.name() + ": " + What("data.pkl"),
                         semantics_, options));
    parsed_.layout.state.root = std::move(unpickled.root);
    parsed_.unknown = std::move(unpickled.unknown);
    return Status::Ok();
  }

  Status PlaceStorages(ByteOrder order) {
    const size_t count = semantics_.storages().size();
    parsed_.layout.storages.reserve(count);
    by_handle_.Reserve(count);
    placed_.resize(archive_.entries().size());
    for (const PickledStorage& pickled : semantics_.storages()) {
      StorageLayout storage;
      storage.dtype = pickled.handle->dtype.value_or(DType::kUInt8);
      storage.bytes = pickled.handle->region.bytes;
      storage.handle = pickled.handle;
      CAISSON_ASSIGN_OR_RETURN(const zip::Entry* entry,
                               FindStorage(pickled.key, &storage));
      CAISSON_RETURN_IF_ERROR(PlacePieces(*entry, order, &storage));
      by_handle_.TryEmplace(pickled.handle.get(),
                            parsed_.layout.storages.size());
      placed_[entry - archive_.entries().data()] = true;
      parsed_.layout.storages.push_back(std::move(storage));
    }
    return Status::Ok();
  }

  // The record of a storage, whose name it gets.
  Result<const zip::Entry*> FindStorage(const std::string& key,
                                        StorageLayout* storage) const {
    const zip::Entry* const data = archive_.Find("data/" + key);
    const zip::Entry* const plane = archive_.Find("plane/" + key);
    storage->record = (plane != nullptr ? "plane/" : "data/") + key;
    if (data != nullptr && plane != nullptr) {
      return Corrupt(storage->record, "there is a record 'data/" + key +
                                          "' for the same storage");
    }
    if (data == nullptr && plane == nullptr) {
      return Corrupt(storage->record, "missing");
    }
    return data != nullptr ? data : plane;
  }

  Status PlacePieces(const zip::Entry& entry, ByteOrder order,
                     StorageLayout* storage) {
    if (storage->record.starts_with("plane/")) {
      if (entry.method != zip::kMethodStored) {
        return Corrupt(storage->record,
                       "a record of the plane codec that is "
                       "deflated");
      }
      return PlacePlane(source_, entry, storage);
    }
    if (entry.bytes != storage->bytes) {
      return Corrupt(storage->record, std::to_string(entry.bytes) +
                                          " bytes, but the pickle says " +
                                          std::to_string(storage->bytes));
    }
    const auto chunks = deflated_.find(storage->record);
    if (entry.method == zip::kMethodDeflate && chunks != deflated_.end()) {
      const Status placed = PlaceDeflated(entry, pack_->chunk_bytes,
                                          *chunks->second, order, storage);
      if (placed.ok()) return placed;
      return Corrupt(kPackRecord,
                     storage->record + ": " + std::string(placed.message()));
    }
    Piece piece = PieceOf(entry);
    piece.elems =
        storage->bytes / std::max<size_t>(ByteWidth(storage->dtype), 1);
    piece.order = order;
    storage->pieces.push_back(piece);
    return Status::Ok();
  }

  Status PlaceTensors() {
    auto named = parsed_.layout.state.Tensors();
    if (!named) {
      return Status::Unsupported(std::string(named.error().message()))
          .WithContext(source_.name() + ": " + What("data.pkl"));
    }
    parsed_.layout.tensors.reserve(named->size());
    for (NamedTensor& tensor : *named) {
      TensorLayout placed;
      placed.view = *tensor.view;
      placed.view.spec.name = Join(tensor.path);
      placed.path = std::move(tensor.path);
      // Every storage that the pickle names was placed.
      placed.storage = *by_handle_.Find(tensor.view->storage.get());
      parsed_.layout.tensors.push_back(std::move(placed));
    }
    return Status::Ok();
  }

  // Everything else that has a checksum, so that verify reads all bytes.
  void PlaceOthers() {
    for (size_t i = 0; i < placed_.size(); ++i) {
      if (placed_[i]) continue;
      const zip::Entry& entry = archive_.entries()[i];
      const std::string_view name = archive_.RecordName(entry);
      const bool extra =
          std::ranges::find(kOwnRecords, name) == std::end(kOwnRecords);
      parsed_.layout.others.push_back(
          {std::string(name), PieceOf(entry), extra});
    }
  }

  const ByteSource& source_;
  RecordSource& records_;
  const TorchArchive archive_;
  const ParseOptions options_;
  std::optional<PackRecord> pack_;
  std::map<std::string, const PackRecord::Deflated*> deflated_;  // by record
  TorchSemantics semantics_;
  IdentityMap<size_t> by_handle_;
  std::vector<bool> placed_;  // parallel to the entries: holds a storage
  ParsedArchive parsed_;
};

}  // namespace

Result<ParsedArchive> ParseTorchArchive(const ByteSource& source,
                                        RecordSource& records,
                                        const ParseOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(TorchArchive archive, TorchArchive::Open(source));
  return Parser(source, records, std::move(archive), options).Run();
}

}  // namespace caisson::torch
