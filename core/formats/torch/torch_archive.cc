// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/torch_archive.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::torch {
namespace {

// What every reader from torch 1.11 on accepts.
constexpr uint64_t kMinVersion = 1;
constexpr uint64_t kMaxVersion = 10;

}  // namespace

Result<TorchArchive> TorchArchive::Open(const ByteSource& source) {
  CAISSON_ASSIGN_OR_RETURN(zip::Directory directory,
                           zip::ReadDirectory(source));
  if (directory.entries.empty()) {
    return Status::Corrupt(source.name() + ": the archive holds no records");
  }
  TorchArchive archive;
  const std::string& first = directory.entries.front().name;
  const size_t slash = first.find('/');
  if (slash == std::string::npos) {
    return Status::Corrupt(source.name() + ": record '" + first +
                           "' is in no folder");
  }
  archive.prefix_ = first.substr(0, slash);
  const std::string folder = first.substr(0, slash + 1);
  for (zip::Entry& entry : directory.entries) {
    if (!entry.name.starts_with(folder)) {
      return Status::Corrupt(source.name() + ": record '" + entry.name +
                             "' is outside the folder '" + folder + "'");
    }
    const bool is_folder = entry.name == folder && entry.bytes == 0;
    if (!is_folder) archive.entries_.push_back(std::move(entry));
  }
  archive.by_name_.reserve(archive.entries_.size());
  for (size_t i = 0; i < archive.entries_.size(); ++i) {
    archive.by_name_.emplace_back(archive.RecordName(archive.entries_[i]), i);
  }
  std::ranges::sort(archive.by_name_);
  return archive;
}

const zip::Entry* TorchArchive::Find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(
      by_name_, name, {}, &std::pair<std::string_view, size_t>::first);
  const bool same = found != by_name_.end() && found->first == name;
  return same ? &entries_[found->second] : nullptr;
}

Piece PieceOf(const zip::Entry& entry) {
  Piece piece;
  piece.offset = entry.data_offset;
  piece.stored_bytes = entry.stored_bytes;
  piece.elems = entry.bytes;
  piece.encoding =
      entry.method == zip::kMethodDeflate ? Encoding::kDeflate : Encoding::kRaw;
  piece.order = kNativeOrder;
  if (entry.crc32 != 0 || entry.bytes == 0) piece.crc32 = entry.crc32;
  return piece;
}

Result<uint64_t> ParseVersion(std::string_view content,
                              const std::string& what) {
  const size_t first = content.find_first_not_of(" \t\n\v\f\r");
  size_t at = first == std::string_view::npos ? content.size() : first;
  if (at < content.size() && content[at] == '+') ++at;
  uint64_t version = 0;
  bool digits = false;
  for (; at < content.size() && content[at] >= '0' && content[at] <= '9';
       ++at) {
    digits = true;
    // Beyond the range it does not matter by how much.
    if (version <= kMaxVersion) version = 10 * version + (content[at] - '0');
  }
  if (!digits) return Status::Corrupt(what + ": no number");
  if (version < kMinVersion || version > kMaxVersion) {
    return Status::Corrupt(what + ": version " + std::to_string(version) +
                           (version > kMaxVersion ? " or more" : "") +
                           ", expected 1 to 10");
  }
  return version;
}

}  // namespace caisson::torch
