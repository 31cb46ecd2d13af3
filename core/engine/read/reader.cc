// SPDX-License-Identifier: Apache-2.0
#include "caisson/reader.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "core/base/state_steps.h"
#include "core/base/status_macros.h"
#include "core/engine/read/piece_io.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/signature.h"
#include "core/formats/torch/torch_reader.h"

namespace caisson {
namespace {

// Hands the parser the records that it wants to look into.
class PieceSource : public RecordSource {
 public:
  explicit PieceSource(const ByteSource& source) : source_(source) {}

  Result<std::vector<std::byte>> Fetch(const Piece& piece,
                                       const std::string& what) override {
    std::vector<std::byte> bytes;
    try {
      bytes.resize(piece.elems);
    } catch (const std::exception&) {  // bad_alloc or length_error
      return Status::OutOfMemory(what + ": " + std::to_string(piece.elems) +
                                 " bytes");
    }
    CAISSON_ASSIGN_OR_RETURN(
        [[maybe_unused]] const bool checked,
        ReadPiece(source_, piece, DType::kUInt8, bytes, CrcCheck::kOn, what));
    return bytes;
  }

 private:
  const ByteSource& source_;
};

Compression CompressionOf(const StorageLayout& storage) {
  if (storage.pieces.empty()) return Compression::kNone;
  switch (storage.pieces.front().encoding) {
    case Encoding::kDeflate:
      return Compression::kDeflate;
    case Encoding::kPlane:
      return Compression::kPlane;
    default:
      return Compression::kNone;
  }
}

TensorInfo InfoOf(const TensorLayout& tensor, const StorageLayout& storage) {
  TensorInfo info;
  info.path = tensor.path;
  info.view = tensor.view;
  info.record = storage.record;
  info.compression = CompressionOf(storage);
  for (const Piece& piece : storage.pieces) {
    info.stored_bytes += piece.stored_bytes;
  }
  if (!storage.pieces.empty()) info.offset = storage.pieces.front().offset;
  if (storage.pieces.size() == 1) info.crc32 = storage.pieces.front().crc32;
  return info;
}

}  // namespace

std::string_view Name(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kDeflate:
      return "deflate";
    case Compression::kPlane:
      return "plane";
  }
  return "unknown";
}

Reader::Impl::Impl(ByteSource file, Layout parsed,
                   std::vector<Global> unknown_globals)
    : source(std::move(file)),
      layout(std::move(parsed)),
      unknown(std::move(unknown_globals)) {
  infos.reserve(layout.tensors.size());
  for (const TensorLayout& tensor : layout.tensors) {
    infos.push_back(InfoOf(tensor, layout.storages[tensor.storage]));
  }
  by_name_.reserve(infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    by_name_.emplace_back(infos[i].view.spec.name, i);
  }
  std::ranges::sort(by_name_);
}

std::span<const Reader::Impl::Named> Reader::Impl::AllNamed(
    std::string_view name) const {
  const auto first =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [](const Named& named, std::string_view key) {
                         return named.first < key;
                       });
  const auto last =
      std::find_if(first, by_name_.end(),
                   [&](const Named& named) { return named.first != name; });
  return {first, last};
}

Status Reader::Impl::CheckGlobals() const {
  if (unknown.empty()) return Status::Ok();
  std::string names = unknown.front().dotted();
  if (unknown.size() > 1) {
    names += " and " + std::to_string(unknown.size() - 1) + " more";
  }
  return Status::Unsupported(source.name() + ": the global " + names +
                             ", which torch.load(weights_only=True) refuses");
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Result<Reader> Reader::Open(const std::string& path,
                            const ReaderOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> adapter,
                           FileAdapter::Open(path));
  return Open(std::move(adapter), options);
}

Result<Reader> Reader::Open(std::shared_ptr<const ReadAdapter> adapter,
                            const ReaderOptions& options) {
  if (adapter == nullptr) return Status::InvalidArgument("no adapter");
  if (options.start > adapter->size()) {
    return Status::InvalidArgument(
        adapter->name() + ": start " + std::to_string(options.start) +
        " is past the end, " + std::to_string(adapter->size()));
  }
  ByteSource source(std::move(adapter), options.start);
  CAISSON_RETURN_IF_ERROR(RequireZip(source));
  PieceSource records(source);
  torch::ParseOptions parse;
  parse.strict = options.strict;
  CAISSON_ASSIGN_OR_RETURN(torch::ParsedArchive parsed,
                           torch::ParseTorchArchive(source, records, parse));
  return Reader(std::make_unique<Impl>(
      std::move(source), std::move(parsed.layout), std::move(parsed.unknown)));
}

const std::string& Reader::format() const { return impl_->layout.format; }

uint64_t Reader::file_bytes() const { return impl_->source.size(); }

std::span<const TensorInfo> Reader::tensors() const { return impl_->infos; }

std::vector<std::string> Reader::extra_records() const {
  std::vector<std::string> names;
  for (const OtherRecord& other : impl_->layout.others) {
    if (other.extra) names.push_back(other.record);
  }
  return names;
}

std::span<const Global> Reader::unknown_globals() const {
  return impl_->unknown;
}

const State& Reader::state() const { return impl_->layout.state; }

Result<const TensorInfo*> Reader::Find(std::string_view name) const {
  const auto named = impl_->AllNamed(name);
  if (named.empty()) {
    return Status::NotFound(impl_->source.name() + ": no tensor '" +
                            std::string(name) + "'");
  }
  if (named.size() > 1) {
    std::string problem =
        impl_->source.name() + ": '" + std::string(name) + "' is the name of " +
        Spelled(impl_->infos[named[0].second].path) + " and of " +
        Spelled(impl_->infos[named[1].second].path);
    if (named.size() > 2) {
      problem += " and of " + std::to_string(named.size() - 2) + " more";
    }
    return Status::InvalidArgument(std::move(problem));
  }
  return &impl_->infos[named[0].second];
}

}  // namespace caisson
