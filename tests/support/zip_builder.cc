// SPDX-License-Identifier: Apache-2.0
#include "tests/support/zip_builder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "caisson/crc32.h"

namespace caisson {
namespace {

using zip::kMoved16;
using zip::kMoved32;

std::string LittleEndian(uint64_t value, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) {
    text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
  return text;
}

uint32_t Clip32(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, kMoved32));
}

uint32_t CrcOf(std::string_view content) {
  return Crc32(0, std::as_bytes(std::span(content)));
}

// The sizes, the offset or both where they do not fit in 32 bits.
std::string Zip64Extra(uint64_t bytes, uint64_t stored_bytes,
                       uint64_t header_offset) {
  std::string payload;
  if (bytes >= kMoved32) payload += Le64(bytes) + Le64(stored_bytes);
  if (header_offset >= kMoved32) payload += Le64(header_offset);
  return payload.empty() ? payload : ExtraField(zip::kExtraZip64, payload);
}

LocalFields LocalOf(const ZipEntry& entry, ZipStyle style, uint64_t offset,
                    uint64_t alignment) {
  LocalFields fields;
  fields.name = entry.name;
  fields.method = entry.method;
  if (style == ZipStyle::kPyTorch) {
    fields.needed = entry.method == zip::kMethodStored ? 0 : 20;
    fields.flags = zip::kFlagUtf8;
    if (entry.bytes > 0) fields.flags |= zip::kFlagDescriptor;
    fields.extra = Zip64Extra(entry.bytes, 0, offset);
    const uint64_t start =
        offset + zip::kLocalBytes + entry.name.size() + fields.extra.size() + 4;
    fields.extra += ExtraField(
        zip::kExtraPadding,
        std::string((alignment - start % alignment) % alignment, 'Z'));
    return fields;
  }
  fields.needed = 20;
  fields.time = 0x6b20;
  fields.date = 0x5a21;
  if (style == ZipStyle::kPythonStreamed) {
    fields.flags = zip::kFlagDescriptor;
    return fields;
  }
  fields.crc32 = entry.crc32;
  fields.stored_bytes = Clip32(entry.stored_bytes());
  fields.bytes = Clip32(entry.bytes);
  return fields;
}

CentralFields CentralOf(const ZipEntry& entry, const LocalFields& local,
                        uint64_t offset) {
  CentralFields fields;
  fields.needed = local.needed;
  fields.flags = local.flags;
  fields.method = local.method;
  fields.time = local.time;
  fields.date = local.date;
  fields.crc32 = entry.crc32;
  fields.stored_bytes = Clip32(entry.stored_bytes());
  fields.bytes = Clip32(entry.bytes);
  fields.header_offset = Clip32(offset);
  fields.name = entry.name;
  fields.extra = Zip64Extra(entry.bytes, entry.stored_bytes(), offset);
  return fields;
}

std::string Encoded(const LocalFields& f) {
  return Le32(f.signature) + Le16(f.needed) + Le16(f.flags) + Le16(f.method) +
         Le16(f.time) + Le16(f.date) + Le32(f.crc32) + Le32(f.stored_bytes) +
         Le32(f.bytes) + Le16(f.name_length.value_or(f.name.size())) +
         Le16(f.extra_length.value_or(f.extra.size())) + f.name + f.extra;
}

std::string Encoded(const DescriptorFields& f) {
  if (!f.present) return {};
  const size_t width = f.wide ? 8 : 4;
  return (f.has_signature ? Le32(f.signature) : "") + Le32(f.crc32) +
         LittleEndian(f.stored_bytes, width) + LittleEndian(f.bytes, width);
}

std::string Encoded(const CentralFields& f) {
  return Le32(f.signature) + Le16(f.made_by) + Le16(f.needed) + Le16(f.flags) +
         Le16(f.method) + Le16(f.time) + Le16(f.date) + Le32(f.crc32) +
         Le32(f.stored_bytes) + Le32(f.bytes) + Le16(f.name.size()) +
         Le16(f.extra.size()) + Le16(f.comment.size()) + Le16(f.disk) +
         Le16(f.internal_attributes) + Le32(f.external_attributes) +
         Le32(f.header_offset) + f.name + f.extra + f.comment;
}

std::string Encoded(const EndFields& f) {
  std::string text;
  if (f.zip64) {
    text = Le32(f.zip64_signature) + Le64(f.zip64_size) + Le16(0x031e) +
           Le16(0x002d) + Le32(f.zip64_disk) + Le32(f.zip64_directory_disk) +
           Le64(f.zip64_entries_here) + Le64(f.zip64_entries) +
           Le64(f.zip64_directory_bytes) + Le64(f.zip64_directory_offset) +
           Le32(zip::kZip64LocatorSignature) + Le32(f.locator_disk) +
           Le64(f.locator_offset) + Le32(f.locator_disks);
  }
  return text + Le32(zip::kEndSignature) + Le16(f.disk) +
         Le16(f.directory_disk) + Le16(f.entries_here) + Le16(f.entries) +
         Le32(f.directory_bytes) + Le32(f.directory_offset) +
         Le16(f.comment_length.value_or(f.comment.size())) + f.comment;
}

}  // namespace

std::string Le16(uint64_t value) { return LittleEndian(value, 2); }
std::string Le32(uint64_t value) { return LittleEndian(value, 4); }
std::string Le64(uint64_t value) { return LittleEndian(value, 8); }

std::string ExtraField(uint16_t tag, std::string_view payload) {
  return Le16(tag) + Le16(payload.size()) + std::string(payload);
}

void SparseFile::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  runs_[size_] = bytes;
  size_ += bytes.size();
}

std::string SparseFile::Bytes() const {
  std::string bytes(size_, '\0');
  const Result<size_t> got = Read(0, std::as_writable_bytes(std::span(bytes)));
  if (!got.has_value() || *got != size_) std::abort();
  return bytes;
}

Result<size_t> SparseFile::Read(uint64_t offset,
                                std::span<std::byte> dst) const {
  if (offset >= size_) return size_t{0};
  dst = dst.first(std::min<uint64_t>(dst.size(), size_ - offset));
  std::ranges::fill(dst, std::byte{0});
  auto run = runs_.upper_bound(offset);
  if (run != runs_.begin()) --run;
  for (; run != runs_.end() && run->first < offset + dst.size(); ++run) {
    const uint64_t begin = std::max(offset, run->first);
    const uint64_t end =
        std::min(offset + dst.size(), run->first + run->second.size());
    if (begin >= end) continue;
    std::memcpy(dst.data() + (begin - offset),
                run->second.data() + (begin - run->first), end - begin);
  }
  return dst.size();
}

ZipEntry& ZipBuilder::Add(std::string name, std::string content) {
  ZipEntry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.bytes = content.size();
  entry.crc32 = CrcOf(content);
  entry.content = std::move(content);
  return entry;
}

ZipEntry& ZipBuilder::AddDeflated(std::string name, std::string_view content) {
  constexpr size_t kMostInBlock = 0xffff;
  std::string stored;
  std::string_view left = content;
  do {
    const std::string_view block = left.substr(0, kMostInBlock);
    left.remove_prefix(block.size());
    stored.push_back(left.empty() ? 1 : 0);  // final, stored
    stored += Le16(block.size()) + Le16(~block.size());
    stored += block;
  } while (!left.empty());
  ZipEntry& entry = Add(std::move(name), std::move(stored));
  entry.bytes = content.size();
  entry.crc32 = CrcOf(content);
  entry.method = zip::kMethodDeflate;
  return entry;
}

ZipEntry& ZipBuilder::AddHole(std::string name, uint64_t bytes) {
  ZipEntry& entry = Add(std::move(name), "");
  entry.bytes = entry.hole_bytes = bytes;
  return entry;
}

std::shared_ptr<SparseFile> ZipBuilder::BuildSparse() const {
  auto file = std::make_shared<SparseFile>();
  std::string directory;
  for (const ZipEntry& entry : entries_) {
    const uint64_t offset = file->size();
    LocalFields local = LocalOf(entry, style_, offset, alignment_);
    CentralFields central = CentralOf(entry, local, offset);
    DescriptorFields descriptor;
    descriptor.present = (local.flags & zip::kFlagDescriptor) != 0;
    descriptor.wide = entry.bytes >= kMoved32 || offset >= kMoved32;
    descriptor.crc32 = entry.crc32;
    descriptor.stored_bytes = entry.stored_bytes();
    descriptor.bytes = entry.bytes;
    if (entry.edit_local) entry.edit_local(local);
    if (entry.edit_descriptor) entry.edit_descriptor(descriptor);
    if (entry.edit_central) entry.edit_central(central);
    file->Append(Encoded(local) + entry.content);
    file->AppendHole(entry.hole_bytes);
    file->Append(Encoded(descriptor) + entry.after);
    directory += Encoded(central);
  }
  EndFields end;
  end.zip64 = style_ == ZipStyle::kPyTorch;
  end.zip64_entries_here = end.zip64_entries = entries_.size();
  end.zip64_directory_offset = file->size();
  end.zip64_directory_bytes = directory.size();
  end.locator_offset = file->size() + directory.size();
  end.entries_here = end.entries =
      static_cast<uint16_t>(std::min<uint64_t>(entries_.size(), kMoved16));
  end.directory_offset = Clip32(file->size());
  end.directory_bytes = Clip32(directory.size());
  if (edit_end) edit_end(end);
  file->Append(directory + Encoded(end));
  return file;
}

}  // namespace caisson
