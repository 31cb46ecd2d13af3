// SPDX-License-Identifier: Apache-2.0
#include "core/engine/dcp/checkpoint_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/read/piece_io.h"
#include "core/formats/dcp/manifest.h"
#include "core/formats/dcp/metadata.h"
#include "core/formats/safetensors/shard_index.h"
#include "core/formats/torch/torch_archive.h"
#include "core/io/file.h"
#include "core/io/open_files.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;

// Of metadata. A million chunks have about as much.
constexpr uint64_t kMostBytes = uint64_t{512} << 20;

// Of a .metadata that is an archive: torch.save deflates nothing.
constexpr uint64_t kMostRatio = 64;

// What an archive begins with.
constexpr std::string_view kZip = "PK\x03\x04";

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// Takes digits from the front; false if there are none.
bool TakeDigits(std::string_view& name) {
  const size_t end =
      std::min(name.find_first_not_of("0123456789"), name.size());
  name.remove_prefix(end);
  return end > 0;
}

bool Take(std::string_view& name, std::string_view what) {
  if (!name.starts_with(what)) return false;
  name.remove_prefix(what.size());
  return true;
}

// "__0_1.distcp", and "__0_<32 hex digits>.pt" of ours.
bool IsShard(std::string_view name) {
  if (!Take(name, "__") || !TakeDigits(name) || !Take(name, "_")) return false;
  if (name.size() == 35 && name.ends_with(".pt")) {
    return name.find_first_not_of("0123456789abcdef") == 32;
  }
  return TakeDigits(name) && name == ".distcp";
}

// "caisson.0.json" and "__0.metadata".
bool IsOfOneRank(std::string_view name) {
  if (Take(name, "caisson.")) return TakeDigits(name) && name == ".json";
  return Take(name, "__") && TakeDigits(name) && name == ".metadata";
}

// Calls fn(name) of all that is in a folder, as far as it can be listed.
template <typename Fn>
void ForNames(const std::string& folder, const Fn& fn) {
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end;
       it.increment(error)) {
    fn(it->path().filename().string());
  }
}

// What a folder holds that has no metadata.
struct Leftovers {
  bool shards = false;
  bool of_one_rank = false;
};

Leftovers LeftIn(const std::string& folder) {
  Leftovers left;
  ForNames(folder, [&](std::string_view name) {
    left.shards = left.shards || IsShard(name);
    left.of_one_rank = left.of_one_rank || IsOfOneRank(name);
  });
  return left;
}

// The metadata's path; empty if there is none.
std::string MetadataIn(const fs::path& folder) {
  for (const char* name : {dcp::kManifestName, dcp::kMetadataName}) {
    if (IsFile(folder / name)) return (folder / name).string();
  }
  return "";
}

// Whether that may be stock's metadata: an archive, or a pickle that begins
// with a class of it.
bool LooksLikeMetadata(const fs::path& path) {
  const auto file = File::OpenForRead(path.string());
  if (!file) return false;
  std::array<std::byte, 4096> head;
  const auto read = file->ReadUpTo(0, head);
  if (!read) return false;
  const std::string_view text(reinterpret_cast<const char*>(head.data()),
                              *read);
  return text.starts_with(kZip) ||
         text.find("torch.distributed.checkpoint") != std::string_view::npos;
}

bool HasSafetensors(const std::string& folder) {
  bool has = false;
  ForNames(folder, [&](std::string_view name) {
    has = has || name.ends_with(".safetensors") ||
          name.ends_with(safetensors::kIndexSuffix);
  });
  return has;
}

bool IsMetadata(const fs::path& path) {
  return path.filename() == dcp::kManifestName ||
         path.filename() == dcp::kMetadataName;
}

Result<std::vector<std::byte>> ReadAll(const ByteSource& source) {
  if (source.size() > kMostBytes) {
    return Status::Unsupported(source.name() + ": metadata of " +
                               std::to_string(source.size()) + " bytes");
  }
  std::vector<std::byte> bytes(source.size());
  CAISSON_RETURN_IF_ERROR(source.ReadExact(0, bytes, "metadata"));
  return bytes;
}

// The pickle in a .metadata that somebody wrote with torch.save.
Result<std::vector<std::byte>> ReadPickle(const ByteSource& source) {
  CAISSON_ASSIGN_OR_RETURN(const auto archive,
                           torch::TorchArchive::Open(source));
  const zip::Entry* entry = archive.Find("data.pkl");
  if (entry == nullptr) {
    return Status::Corrupt(source.name() + ": record 'data.pkl': missing");
  }
  if (entry->bytes > kMostBytes ||
      entry->bytes / kMostRatio > entry->stored_bytes) {
    return Status::Unsupported(source.name() + ": metadata of " +
                               std::to_string(entry->bytes) + " bytes");
  }
  std::vector<std::byte> bytes(entry->bytes);
  CAISSON_RETURN_IF_ERROR(ReadPiece(source, torch::PieceOf(*entry),
                                    DType::kUInt8, bytes, CrcCheck::kOn,
                                    "record 'data.pkl'")
                              .status());
  return bytes;
}

}  // namespace

bool IsDcp(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return IsMetadata(path) && IsFile(path);
  }
  // Where there is something else to open, a file of that name may be anything.
  const std::string metadata = MetadataIn(path);
  if (!metadata.empty() &&
      (fs::path(metadata).filename() == dcp::kManifestName ||
       LooksLikeMetadata(metadata) || !HasSafetensors(path))) {
    return true;
  }
  const Leftovers left = LeftIn(path);
  return left.shards || left.of_one_rank;
}

bool IsDcpShard(const std::string& path) {
  return IsShard(fs::path(path).filename().string());
}

Result<DcpPath> FindDcp(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    std::string folder = fs::path(path).parent_path();
    return DcpPath{folder.empty() ? "." : std::move(folder), path};
  }
  std::string metadata = MetadataIn(path);
  if (!metadata.empty()) return DcpPath{path, std::move(metadata)};
  if (LeftIn(path).of_one_rank) {
    return Status::Unsupported(
        path +
        ": a checkpoint whose ranks saved each for itself; they can load it");
  }
  return Status::NotFound(path +
                          ": incomplete checkpoint: neither caisson.json nor "
                          ".metadata, so its save never ended");
}

Result<dcp::Checkpoint> ReadCheckpoint(const DcpPath& at,
                                       const ByteSource& metadata) {
  CAISSON_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, ReadAll(metadata));
  const bool ours = fs::path(at.metadata).filename() == dcp::kManifestName;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  if (!ours && text.starts_with(kZip)) {
    CAISSON_ASSIGN_OR_RETURN(bytes, ReadPickle(metadata));
  }
  Result<dcp::Checkpoint> checkpoint =
      ours ? dcp::ParseManifest(bytes) : dcp::ParseMetadata(bytes);
  if (!checkpoint) return checkpoint.error().WithContext(at.metadata);
  return checkpoint;
}

void AllowShards(const dcp::Checkpoint& checkpoint) {
  std::set<std::string_view> files;
  for (const dcp::Item& item : checkpoint.items) {
    if (!item.is_tensor) files.insert(item.place.file);
    for (const dcp::Chunk& chunk : item.chunks) files.insert(chunk.place.file);
  }
  AllowOpenFiles(2 * uint64_t{files.size()});
}

Result<std::string> ShardPath(const DcpPath& at, const std::string& file) {
  std::string path = (fs::path(at.folder) / file).string();
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  return Status::Corrupt(path + ": a shard that is a symbolic link");
}

}  // namespace caisson
