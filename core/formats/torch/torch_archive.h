// SPDX-License-Identifier: Apache-2.0
//
// The records of a PyTorch zip archive, by name. formats.md 1.2, 1.9.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"
#include "core/formats/zip/zip_reader.h"

namespace caisson::torch {

// Moved, not copied: the index points into the entries.
class TorchArchive {
 public:
  // Reads the directory. Errors: those of zip::ReadDirectory; kCorrupt if
  // there is no folder that holds every record.
  static Result<TorchArchive> Open(const ByteSource& source);

  TorchArchive(TorchArchive&&) = default;
  TorchArchive& operator=(TorchArchive&&) = default;

  // The folder, without '/'.
  const std::string& prefix() const { return prefix_; }

  // In directory order, without the entry of the folder itself.
  const std::vector<zip::Entry>& entries() const { return entries_; }

  // The name without the folder.
  std::string_view RecordName(const zip::Entry& entry) const {
    return std::string_view(entry.name).substr(prefix_.size() + 1);
  }

  // The record called `name`, without the folder, or nullptr.
  const zip::Entry* Find(std::string_view name) const;

 private:
  TorchArchive() = default;

  std::string prefix_;
  std::vector<zip::Entry> entries_;
  std::vector<std::pair<std::string_view, size_t>> by_name_;  // sorted
};

// Where an entry's bytes lie, counted as elements of one byte. A stored CRC of
// 0 over any bytes means that none was computed (formats.md 1.8).
Piece PieceOf(const zip::Entry& entry);

// The number in a version record by the rules of C's strtoull: blanks before
// and junk behind are passed over. kCorrupt outside 1 to 10.
Result<uint64_t> ParseVersion(std::string_view content,
                              const std::string& what);

}  // namespace caisson::torch
