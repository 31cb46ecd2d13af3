// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/end_record.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/zip/zip_error.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::zip {
namespace {

constexpr char kEnd[] = "end record";
constexpr char kLocator[] = "zip64 locator";
constexpr char kZip64End[] = "zip64 end record";

// 4.3.16. Values that may have moved to the zip64 record, 4.4.1.4.
struct EndRecord {
  uint64_t offset = 0;
  uint16_t disk = 0;
  uint16_t directory_disk = 0;
  uint16_t entries_here = 0;
  uint16_t entries = 0;
  uint32_t directory_bytes = 0;
  uint32_t directory_offset = 0;
};

// Looks backwards for the record whose comment ends with the source.
Result<EndRecord> FindEnd(const ByteSource& source) {
  const uint64_t size = source.size();
  if (size < kEndBytes) {
    return source.Corrupt(
        0, kEnd, "needs 22 bytes, the file has " + std::to_string(size));
  }
  std::vector<std::byte> tail(
      std::min<uint64_t>(size, kEndBytes + kMaxCommentBytes));
  const uint64_t tail_offset = size - tail.size();
  CAISSON_RETURN_IF_ERROR(source.ReadExact(tail_offset, tail, kEnd));

  std::optional<size_t> misfit;  // the last record that does not end there
  for (size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    const std::byte* record = tail.data() + at;
    if (LoadLittle<uint32_t>(record) != kEndSignature) continue;
    const size_t after = tail.size() - at - kEndBytes;
    if (LoadLittle<uint16_t>(record + 20) != after) {
      if (!misfit) misfit = at;
      continue;
    }
    return EndRecord{.offset = tail_offset + at,
                     .disk = LoadLittle<uint16_t>(record + 4),
                     .directory_disk = LoadLittle<uint16_t>(record + 6),
                     .entries_here = LoadLittle<uint16_t>(record + 8),
                     .entries = LoadLittle<uint16_t>(record + 10),
                     .directory_bytes = LoadLittle<uint32_t>(record + 12),
                     .directory_offset = LoadLittle<uint32_t>(record + 16)};
  }
  if (misfit) {
    return source.Corrupt(
        tail_offset + *misfit, kEnd,
        Expected("bytes after it", LoadLittle<uint16_t>(&tail[*misfit] + 20),
                 tail.size() - *misfit - kEndBytes));
  }
  return source.Corrupt(tail_offset, kEnd,
                        "none in the last " + std::to_string(tail.size()) +
                            " bytes: the file is cut short");
}

Status SeveralFiles(const ByteSource& source, uint64_t offset,
                    std::string_view what, uint64_t disk) {
  return Unsupported(
      source, offset, what,
      "an archive in several files (disk " + std::to_string(disk) + ")");
}

// A value of the end record must be that of the zip64 record, unless it says
// that it moved there.
template <class T>
Status CheckTwin(const ByteSource& source, const EndRecord& end,
                 std::string_view what, T narrow, uint64_t wide) {
  if (narrow == static_cast<T>(~T{0}) || narrow == wide) return Status::Ok();
  return source.Corrupt(end.offset, kEnd, Expected(what, wide, narrow));
}

// Reads the zip64 record that the locator at `locator_offset` points to.
// Returns the place and, in *end_offset, where the record lies.
Result<DirectoryPlace> ReadZip64End(const ByteSource& source,
                                    const EndRecord& end,
                                    std::span<const std::byte> locator,
                                    uint64_t locator_offset,
                                    uint64_t* end_offset) {
  const auto disk = LoadLittle<uint32_t>(&locator[4]);
  const auto disks = LoadLittle<uint32_t>(&locator[16]);
  if (disk != 0 || disks > 1) {
    return SeveralFiles(source, locator_offset, kLocator,
                        std::max(disk, disks - 1));
  }
  const auto offset = LoadLittle<uint64_t>(&locator[8]);
  if (!FitsWithin(offset, kZip64EndBytes, locator_offset)) {
    return source.Corrupt(locator_offset, kLocator,
                          "points to " + std::to_string(offset) +
                              ", where no zip64 end record fits");
  }
  std::array<std::byte, kZip64EndBytes> record;
  CAISSON_RETURN_IF_ERROR(source.ReadExact(offset, record, kZip64End));
  const auto signature = LoadLittle<uint32_t>(&record[0]);
  if (signature != kZip64EndSignature) {
    return source.Corrupt(
        offset, kZip64End,
        ExpectedHex("signature", kZip64EndSignature, signature));
  }
  // The stated size leaves out the signature and itself: 4.3.14.1.
  const uint64_t expected_size = locator_offset - offset - 12;
  const auto size = LoadLittle<uint64_t>(&record[4]);
  if (size != expected_size) {
    return source.Corrupt(offset, kZip64End,
                          Expected("size", expected_size, size));
  }
  const auto this_disk = LoadLittle<uint32_t>(&record[16]);
  const auto directory_disk = LoadLittle<uint32_t>(&record[20]);
  if (this_disk != 0 || directory_disk != 0) {
    return SeveralFiles(source, offset, kZip64End,
                        std::max(this_disk, directory_disk));
  }
  const auto entries_here = LoadLittle<uint64_t>(&record[24]);
  const DirectoryPlace place = {.offset = LoadLittle<uint64_t>(&record[48]),
                                .bytes = LoadLittle<uint64_t>(&record[40]),
                                .entries = LoadLittle<uint64_t>(&record[32])};
  if (entries_here != place.entries) {
    return source.Corrupt(
        offset, kZip64End,
        Expected("entries on this disk", place.entries, entries_here));
  }
  CAISSON_RETURN_IF_ERROR(
      CheckTwin(source, end, "entries", end.entries, place.entries));
  CAISSON_RETURN_IF_ERROR(CheckTwin(source, end, "directory size",
                                    end.directory_bytes, place.bytes));
  CAISSON_RETURN_IF_ERROR(CheckTwin(source, end, "directory offset",
                                    end.directory_offset, place.offset));
  *end_offset = offset;
  return place;
}

}  // namespace

Result<DirectoryPlace> FindDirectory(const ByteSource& source) {
  CAISSON_ASSIGN_OR_RETURN(const EndRecord end, FindEnd(source));
  std::array<std::byte, kZip64LocatorBytes> locator{};
  const uint64_t locator_offset = end.offset - kZip64LocatorBytes;
  if (end.offset >= kZip64LocatorBytes) {
    CAISSON_RETURN_IF_ERROR(
        source.ReadExact(locator_offset, locator, kLocator));
  }
  const bool zip64 =
      LoadLittle<uint32_t>(&locator[0]) == kZip64LocatorSignature;
  for (const uint16_t disk : {end.disk, end.directory_disk}) {
    if (disk != 0 && !(zip64 && disk == kMoved16)) {
      return SeveralFiles(source, end.offset, kEnd, disk);
    }
  }
  if (end.entries_here != end.entries) {
    return source.Corrupt(
        end.offset, kEnd,
        Expected("entries on this disk", end.entries, end.entries_here));
  }

  DirectoryPlace place = {.offset = end.directory_offset,
                          .bytes = end.directory_bytes,
                          .entries = end.entries};
  uint64_t end_offset = end.offset;
  if (zip64) {
    CAISSON_ASSIGN_OR_RETURN(
        place, ReadZip64End(source, end, locator, locator_offset, &end_offset));
  }
  if (CheckedAdd(place.offset, place.bytes) != end_offset) {
    return source.Corrupt(end_offset, zip64 ? kZip64End : kEnd,
                          "a directory of " + std::to_string(place.bytes) +
                              " bytes at " + std::to_string(place.offset) +
                              " does not end here");
  }
  if (place.entries > place.bytes / kCentralBytes) {
    return source.Corrupt(end_offset, zip64 ? kZip64End : kEnd,
                          std::to_string(place.entries) +
                              " entries do not fit in a directory of " +
                              std::to_string(place.bytes) + " bytes");
  }
  return place;
}

}  // namespace caisson::zip
