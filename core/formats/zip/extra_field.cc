// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/extra_field.h"

#include <string>

#include "core/base/endian.h"
#include "core/formats/zip/zip_error.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::zip {
namespace {

constexpr size_t kTagAndLength = 2 + 2;
constexpr uint16_t kExtraUnicodePath = 0x7075;  // 4.6.9
constexpr size_t kUnicodePathHead = 1 + 4;      // version, CRC of the name

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status CheckUnicodePath(std::span<const std::byte> field,
                        std::string_view name) {
  if (field.size() < kUnicodePathHead) {
    return Status::Corrupt("its unicode path field has " +
                           std::to_string(field.size()) + " bytes");
  }
  const std::string_view path = Text(field.subspan(kUnicodePathHead));
  if (path == name) return Status::Ok();
  return Status::Corrupt("its unicode path field names " + Quoted(path));
}

}  // namespace

Result<ExtraFields> ParseExtra(std::span<const std::byte> extra,
                               std::string_view name) {
  ExtraFields fields;
  while (extra.size() >= kTagAndLength) {
    const auto tag = LoadLittle<uint16_t>(extra.data());
    const auto length = LoadLittle<uint16_t>(extra.data() + 2);
    extra = extra.subspan(kTagAndLength);
    if (length > extra.size()) {
      return Status::Corrupt("an extra field of " + std::to_string(length) +
                             " bytes, of which " +
                             std::to_string(extra.size()) + " are there");
    }
    const std::span<const std::byte> field = extra.first(length);
    extra = extra.subspan(length);
    if (tag == kExtraZip64) {
      if (fields.zip64) return Status::Corrupt("two zip64 fields");
      fields.zip64 = field;
    } else if (tag == kExtraUnicodePath) {
      const Status status = CheckUnicodePath(field, name);
      if (!status.ok()) return status;
    }
  }
  return fields;
}

Status ResolveCentral(const ExtraFields& extra, Zip64Values* values) {
  uint64_t* const in_order[] = {&values->bytes, &values->stored_bytes,
                                &values->header_offset};
  int moved = 0;
  for (const uint64_t* value : in_order) moved += *value == kMoved32;

  std::span<const std::byte> left =
      extra.zip64.value_or(std::span<const std::byte>());
  for (uint64_t* value : in_order) {
    const bool is_moved = *value == kMoved32;
    // A value that did not move is repeated after the last moved one, if at
    // all: before it, readers disagree on which is which.
    if (!is_moved && (moved > 0 || left.size() < 8)) continue;
    if (left.size() < 8) {
      return Status::Corrupt("its zip64 field is " +
                             std::to_string(8 * moved - left.size()) +
                             " bytes too short");
    }
    const auto wide = LoadLittle<uint64_t>(left.data());
    left = left.subspan(8);
    if (is_moved) {
      --moved;
      *value = wide;
    } else if (wide != *value) {
      return Status::Corrupt("its zip64 field: " +
                             Expected("value", *value, wide));
    }
  }
  if (!left.empty()) {
    return Status::Corrupt("its zip64 field is " + std::to_string(left.size()) +
                           " bytes too long");
  }
  return Status::Ok();
}

}  // namespace caisson::zip
