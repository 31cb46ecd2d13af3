// SPDX-License-Identifier: Apache-2.0
//
// Builds zip archives field by field, as their common writers do or as an
// attacker would:
//
//   ZipBuilder zip;
//   zip.Add("archive/data/0", "abcd").edit_central = [](CentralFields& f) {
//     f.stored_bytes = 3;
//   };
//   const std::string file = zip.Build();
//
// Every field gets the writer's value first; the edits change it afterwards,
// and nothing else follows the change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "caisson/adapter.h"
#include "core/formats/zip/zip_format.h"

namespace caisson {

struct LocalFields {
  uint32_t signature = zip::kLocalSignature;
  uint16_t needed = 0, flags = 0, method = 0, time = 0, date = 0;
  uint32_t crc32 = 0, stored_bytes = 0, bytes = 0;
  std::string name, extra;
  std::optional<uint16_t> name_length,
      extra_length;  // instead of the true ones
};

struct DescriptorFields {
  bool present = false, has_signature = true, wide = false;
  uint32_t signature = zip::kDescriptorSignature, crc32 = 0;
  uint64_t stored_bytes = 0, bytes = 0;
};

struct CentralFields {
  uint32_t signature = zip::kCentralSignature;
  uint16_t made_by = 0, needed = 0, flags = 0, method = 0, time = 0, date = 0;
  uint32_t crc32 = 0, stored_bytes = 0, bytes = 0;
  uint16_t disk = 0, internal_attributes = 0;
  uint32_t external_attributes = 0, header_offset = 0;
  std::string name, extra, comment;
};

struct EndFields {
  bool zip64 = false;  // the zip64 record and its locator are written
  uint32_t zip64_signature = zip::kZip64EndSignature;
  uint64_t zip64_size = 44;
  uint32_t zip64_disk = 0, zip64_directory_disk = 0;
  uint64_t zip64_entries_here = 0, zip64_entries = 0;
  uint64_t zip64_directory_bytes = 0, zip64_directory_offset = 0;
  uint32_t locator_disk = 0, locator_disks = 1;
  uint64_t locator_offset = 0;
  uint16_t disk = 0, directory_disk = 0, entries_here = 0, entries = 0;
  uint32_t directory_bytes = 0, directory_offset = 0;
  std::string comment;
  std::optional<uint16_t> comment_length;  // instead of the true one
};

// One record. `hole_bytes` zeros follow `content` and take no memory.
struct ZipEntry {
  std::string name;
  std::string content;  // as it lies in the file
  uint64_t hole_bytes = 0;
  uint64_t bytes = 0;  // decoded
  uint32_t crc32 = 0;
  uint16_t method = zip::kMethodStored;
  std::string after;  // put behind the record
  std::function<void(LocalFields&)> edit_local;
  std::function<void(DescriptorFields&)> edit_descriptor;
  std::function<void(CentralFields&)> edit_central;

  uint64_t stored_bytes() const { return content.size() + hole_bytes; }
};

// A file of which only the non-zero runs lie in memory.
class SparseFile : public ReadAdapter {
 public:
  void Append(std::string_view bytes);
  void AppendHole(uint64_t bytes) { size_ += bytes; }

  // All of it. REQUIRES: it fits in memory.
  std::string Bytes() const;

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;

 private:
  std::string name_ = "model.pt";
  std::map<uint64_t, std::string> runs_;  // by offset
  uint64_t size_ = 0;
};

enum class ZipStyle {
  kPyTorch,  // torch.save: descriptors, padding, zip64 records. formats.md 1
  kPython,   // Python's zipfile: sizes in the local header, plain end record
  kPythonStreamed,  // the same onto a pipe: descriptors
};

class ZipBuilder {
 public:
  explicit ZipBuilder(ZipStyle style = ZipStyle::kPyTorch,
                      uint64_t alignment = 64)
      : style_(style), alignment_(alignment) {}

  // Names are full. References stay valid.
  ZipEntry& Add(std::string name, std::string content);

  // Deflated, in blocks without compression (RFC 1951 3.2.4).
  ZipEntry& AddDeflated(std::string name, std::string_view content);

  // `bytes` zeros, the CRC not computed.
  ZipEntry& AddHole(std::string name, uint64_t bytes);

  std::function<void(EndFields&)> edit_end;

  std::string Build() const { return BuildSparse()->Bytes(); }
  std::shared_ptr<SparseFile> BuildSparse() const;

 private:
  ZipStyle style_;
  uint64_t alignment_;
  std::deque<ZipEntry> entries_;
};

// An integer's little-endian bytes, for extra fields and patches.
std::string Le16(uint64_t value);
std::string Le32(uint64_t value);
std::string Le64(uint64_t value);

// An extra field: tag, length, payload.
std::string ExtraField(uint16_t tag, std::string_view payload);

}  // namespace caisson
