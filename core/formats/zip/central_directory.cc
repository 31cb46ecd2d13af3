// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/central_directory.h"

#include <string>
#include <string_view>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/zip/extra_field.h"
#include "core/formats/zip/zip_error.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::zip {
namespace {

constexpr char kCentral[] = "central header";

// A central header being read: where it lies and what it belongs to.
class HeaderReader {
 public:
  HeaderReader(ReadAhead* reader, const DirectoryPlace& place)
      : reader_(*reader),
        source_(reader->source()),
        place_(place),
        offset_(place.offset) {}

  uint64_t offset() const { return offset_; }

  // Reads the header at offset() and moves behind it.
  Result<Entry> Next() {
    const uint64_t end = place_.offset + place_.bytes;
    if (!FitsWithin(offset_, kCentralBytes, end)) return PastEnd(end);
    CAISSON_ASSIGN_OR_RETURN(std::span<const std::byte> header,
                             reader_.Get(offset_, kCentralBytes, kCentral));
    const auto signature = LoadLittle<uint32_t>(&header[0]);
    if (signature != kCentralSignature) {
      return source_.Corrupt(
          offset_, kCentral,
          ExpectedHex("signature", kCentralSignature, signature));
    }
    const size_t name_bytes = LoadLittle<uint16_t>(&header[28]);
    const size_t extra_bytes = LoadLittle<uint16_t>(&header[30]);
    const size_t comment_bytes = LoadLittle<uint16_t>(&header[32]);
    const size_t bytes =
        kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (!FitsWithin(offset_, bytes, end)) return PastEnd(end);
    CAISSON_ASSIGN_OR_RETURN(header, reader_.Get(offset_, bytes, kCentral));

    Entry entry;
    entry.flags = LoadLittle<uint16_t>(&header[8]);
    entry.method = LoadLittle<uint16_t>(&header[10]);
    entry.crc32 = LoadLittle<uint32_t>(&header[16]);
    entry.name.assign(reinterpret_cast<const char*>(&header[kCentralBytes]),
                      name_bytes);
    CAISSON_RETURN_IF_ERROR(CheckName(entry.name));
    CAISSON_RETURN_IF_ERROR(CheckFeatures(source_, offset_, entry.name,
                                          kCentral, entry.flags, entry.method));
    const auto disk = LoadLittle<uint16_t>(&header[34]);
    if (disk != 0) {
      return Unsupported(
          source_, offset_, What(entry),
          "an archive in several files (disk " + std::to_string(disk) + ")");
    }
    CAISSON_RETURN_IF_ERROR(ReadSizes(
        header, header.subspan(kCentralBytes + name_bytes, extra_bytes),
        &entry));
    CAISSON_RETURN_IF_ERROR(CheckSizes(entry));
    offset_ += bytes;
    return entry;
  }

 private:
  static std::string What(const Entry& entry) {
    return PartLabel(entry.name, kCentral);
  }

  Status PastEnd(uint64_t end) const {
    return source_.Corrupt(
        offset_, kCentral,
        "reaches past the end of the directory at " + std::to_string(end));
  }

  Status CheckName(std::string_view name) const {
    if (name.empty()) {
      return source_.Corrupt(offset_, kCentral, "a record without a name");
    }
    if (name.find('\0') != std::string_view::npos) {
      return source_.Corrupt(offset_, PartLabel(name, kCentral),
                             "a zero byte in the name");
    }
    return Status::Ok();
  }

  Status ReadSizes(std::span<const std::byte> header,
                   std::span<const std::byte> extra_bytes, Entry* entry) const {
    Zip64Values values = {.bytes = LoadLittle<uint32_t>(&header[24]),
                          .stored_bytes = LoadLittle<uint32_t>(&header[20]),
                          .header_offset = LoadLittle<uint32_t>(&header[42])};
    const Result<ExtraFields> extra = ParseExtra(extra_bytes, entry->name);
    const Status status =
        extra.has_value() ? ResolveCentral(*extra, &values) : extra.error();
    if (!status.ok()) {
      return source_.Corrupt(offset_, What(*entry), status.message());
    }
    entry->bytes = values.bytes;
    entry->stored_bytes = values.stored_bytes;
    entry->header_offset = values.header_offset;
    return Status::Ok();
  }

  Status CheckSizes(const Entry& entry) const {
    if (!FitsWithin(entry.header_offset, kLocalBytes, place_.offset)) {
      return source_.Corrupt(offset_, What(entry),
                             "its local header at " +
                                 std::to_string(entry.header_offset) +
                                 " does not lie before the directory");
    }
    if (entry.method == kMethodStored && entry.stored_bytes != entry.bytes) {
      return source_.Corrupt(
          offset_, What(entry),
          Expected("stored size", entry.bytes, entry.stored_bytes));
    }
    if (entry.method == kMethodDeflate) {
      const auto most = CheckedMul(entry.stored_bytes, kMaxDeflateRatio);
      if (most && entry.bytes > *most) {
        return source_.Corrupt(offset_, What(entry),
                               std::to_string(entry.stored_bytes) +
                                   " deflated bytes cannot hold " +
                                   std::to_string(entry.bytes));
      }
    }
    return Status::Ok();
  }

  ReadAhead& reader_;
  const ByteSource& source_;
  const DirectoryPlace& place_;
  uint64_t offset_;
};

}  // namespace

Status CheckFeatures(const ByteSource& source, uint64_t offset,
                     std::string_view record, std::string_view part,
                     uint16_t flags, uint16_t method) {
  struct Feature {
    uint16_t flag;
    std::string_view name;
  };
  constexpr Feature kLacking[] = {
      {kFlagStrongEncryption, "strong encryption (flag bit 6)"},
      {kFlagEncrypted, "encryption (flag bit 0)"},
      {kFlagPatched, "patched data (flag bit 5)"},
      {kFlagMasked, "masked headers (flag bit 13)"},
  };
  for (const Feature& feature : kLacking) {
    if (flags & feature.flag) {
      return Unsupported(source, offset, PartLabel(record, part), feature.name);
    }
  }
  if (method != kMethodStored && method != kMethodDeflate) {
    return Unsupported(source, offset, PartLabel(record, part),
                       "compression method " + std::to_string(method));
  }
  return Status::Ok();
}

Result<std::vector<Entry>> ReadCentralDirectory(ReadAhead* reader,
                                                const DirectoryPlace& place) {
  // Grown header by header: the stated number is not trusted with memory.
  std::vector<Entry> entries;
  HeaderReader headers(reader, place);
  for (uint64_t i = 0; i < place.entries; ++i) {
    CAISSON_ASSIGN_OR_RETURN(Entry entry, headers.Next());
    entries.push_back(std::move(entry));
  }
  const uint64_t end = place.offset + place.bytes;
  if (headers.offset() != end) {
    return reader->source().Corrupt(
        headers.offset(), "central directory",
        std::to_string(end - headers.offset()) + " bytes after its " +
            std::to_string(place.entries) + " headers");
  }
  return entries;
}

}  // namespace caisson::zip
