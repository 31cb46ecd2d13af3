// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/open_file.h"

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/read/piece_io.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/safetensors/safetensors_reader.h"
#include "core/formats/safetensors/shard_index.h"
#include "core/formats/signature.h"
#include "core/formats/torch/legacy_reader.h"
#include "core/formats/torch/torch_reader.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSafetensorsSuffix = ".safetensors";

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

// The one file in `folder` to open.
Result<std::string> ChooseIn(const std::string& folder) {
  std::vector<std::string> indices;
  std::vector<std::string> files;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.ends_with(safetensors::kIndexSuffix)) indices.push_back(name);
    if (name.ends_with(kSafetensorsSuffix)) files.push_back(name);
  }
  if (error) return Status::Io(folder + ": " + error.message());
  const std::vector<std::string>& found = indices.empty() ? files : indices;
  if (found.empty()) {
    return Status::InvalidArgument(
        folder +
        ": a folder without a safetensors file or index, or a "
        "distributed checkpoint");
  }
  if (found.size() > 1) {
    return Status::InvalidArgument(
        folder + ": a folder with " + std::to_string(found.size()) +
        (indices.empty() ? " safetensors files and no index"
                         : " safetensors indices") +
        "; name one");
  }
  return (fs::path(folder) / found.front()).string();
}

// All bytes of an index, which is as large as its names are.
Result<std::vector<std::byte>> ReadAll(const ByteSource& source) {
  constexpr uint64_t kMostBytes = 100'000'000;  // as a header may have
  if (source.size() > kMostBytes) {
    return Status::Unsupported(source.name() + ": an index of " +
                               std::to_string(source.size()) + " bytes");
  }
  std::vector<std::byte> bytes(source.size());
  CAISSON_RETURN_IF_ERROR(source.ReadExact(0, bytes, "index"));
  return bytes;
}

Result<OpenedFile> OpenShards(const std::string& path,
                              const OpenAdapter& open) {
  CAISSON_ASSIGN_OR_RETURN(auto adapter, open(path));
  ByteSource source(std::move(adapter));
  CAISSON_ASSIGN_OR_RETURN(const std::vector<std::byte> json, ReadAll(source));
  Result<safetensors::ShardIndex> index = safetensors::ParseIndex(json);
  if (!index) return index.error().WithContext(path);
  OpenedFile opened{std::move(source), {}, {}, {}};
  std::vector<Layout> layouts;
  for (const std::string& file : index->Shards()) {
    const std::string shard = (fs::path(path).parent_path() / file).string();
    auto shard_adapter = open(shard);
    if (!shard_adapter) {
      return shard_adapter.error().WithContext(path + ": a shard");
    }
    opened.shards.emplace_back(*std::move(shard_adapter));
    CAISSON_ASSIGN_OR_RETURN(
        Layout layout, safetensors::ParseSafetensors(opened.shards.back()));
    layouts.push_back(std::move(layout));
  }
  Result<Layout> joined =
      safetensors::JoinShards(path, *index, std::move(layouts));
  if (!joined) return joined.error().WithContext(path);
  opened.layout = *std::move(joined);
  return opened;
}

bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

}  // namespace

Result<std::shared_ptr<const ReadAdapter>> OpenBuffered(
    const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> adapter,
                           FileAdapter::Open(path));
  return adapter;
}

Result<Signature> SignatureOf(const ByteSource& source) {
  std::array<std::byte, kSignatureBytes> buffer;
  const auto head = std::span<std::byte>(buffer).first(
      std::min<uint64_t>(buffer.size(), source.size()));
  CAISSON_RETURN_IF_ERROR(source.ReadExact(0, head, "signature"));
  const Signature signature = Recognise(head);
  // What nothing is told by is what its name says.
  const bool unknown = signature == Signature::kUnknown ||
                       signature == Signature::kEmpty ||
                       signature == Signature::kTooShort;
  if (unknown && source.name().ends_with(kSafetensorsSuffix)) {
    return Signature::kSafetensors;
  }
  return signature;
}

std::optional<caffe2::Form> Caffe2FormOf(const ByteSource& source,
                                         Signature signature) {
  if (signature == Signature::kZip || signature == Signature::kLegacyTorch ||
      signature == Signature::kSafetensors) {
    return std::nullopt;
  }
  const std::optional<caffe2::Form> form = caffe2::RecogniseForm(source);
  // Where nothing shows what it is, the suffix says what is wrong with it.
  const bool unknown =
      signature == Signature::kUnknown || signature == Signature::kTooShort;
  return form || !unknown ? form : caffe2::FormOfSuffix(source.name());
}

Result<OpenedFile> OpenFile(std::shared_ptr<const ReadAdapter> adapter,
                            const ReaderOptions& options) {
  if (adapter == nullptr) return Status::InvalidArgument("no adapter");
  if (options.start > adapter->size()) {
    return Status::InvalidArgument(
        adapter->name() + ": start " + std::to_string(options.start) +
        " is past the end, " + std::to_string(adapter->size()));
  }
  OpenedFile opened{ByteSource(std::move(adapter), options.start), {}, {}, {}};
  CAISSON_ASSIGN_OR_RETURN(const Signature signature,
                           SignatureOf(opened.source));
  if (signature == Signature::kSafetensors) {
    CAISSON_ASSIGN_OR_RETURN(opened.layout,
                             safetensors::ParseSafetensors(opened.source));
    return opened;
  }
  const bool legacy = signature == Signature::kLegacyTorch;
  if (const auto form = Caffe2FormOf(opened.source, signature)) {
    CAISSON_ASSIGN_OR_RETURN(caffe2::ParsedBlobs parsed,
                             caffe2::ParseCaffe2(opened.source, *form));
    opened.layout = std::move(parsed.layout);
    if (parsed.image == nullptr) return opened;
    opened.shards.emplace_back(
        std::make_shared<MemoryAdapter>(std::as_bytes(std::span(*parsed.image)),
                                        opened.source.name(), parsed.image));
    return opened;
  }
  if (!legacy) CAISSON_RETURN_IF_ERROR(RequireZip(opened.source));
  PieceSource records(opened.source);
  torch::ParseOptions parse;
  parse.strict = options.strict;
  CAISSON_ASSIGN_OR_RETURN(
      torch::ParsedArchive parsed,
      legacy ? torch::ParseLegacy(opened.source, parse)
             : torch::ParseTorchArchive(opened.source, records, parse));
  opened.layout = std::move(parsed.layout);
  opened.unknown = std::move(parsed.unknown);
  return opened;
}

bool IsIndexOrFolder(const std::string& path) {
  return path.ends_with(safetensors::kIndexSuffix) || IsFolder(path) ||
         IsDcp(path);
}

Result<OpenedFile> OpenPath(const std::string& path,
                            const ReaderOptions& options,
                            const OpenAdapter& open) {
  if (IsDcp(path)) {
    CAISSON_ASSIGN_OR_RETURN(const DcpPath checkpoint, FindDcp(path));
    return OpenDcp(checkpoint, options, open);
  }
  std::string file = path;
  if (IsFolder(path)) {
    CAISSON_ASSIGN_OR_RETURN(file, ChooseIn(path));
  }
  if (file.ends_with(safetensors::kIndexSuffix)) {
    return OpenShards(file, open);
  }
  CAISSON_ASSIGN_OR_RETURN(auto adapter, open(file));
  return OpenFile(std::move(adapter), options);
}

}  // namespace caisson
