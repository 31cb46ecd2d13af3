// SPDX-License-Identifier: Apache-2.0
//
// The extra fields of local and central headers, APPNOTE 4.5. Pure functions;
// errors are kCorrupt and hold the problem alone: the caller knows the record
// and the offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "caisson/status.h"

namespace caisson::zip {

// The fields that matter to a reader; views of the bytes they came from.
struct ExtraFields {
  // 4.5.3, without its tag and length; absent and empty are different.
  std::optional<std::span<const std::byte>> zip64;
};

// Finds the fields in all of a header's extra bytes. Up to three bytes after
// the last one are filler, as some writers leave.
//
// Errors: a field longer than what is left; two zip64 fields; a Unicode path,
// 4.6.9, other than `name`, by which some readers would know the record.
Result<ExtraFields> ParseExtra(std::span<const std::byte> extra,
                               std::string_view name);

// The sizes and the offset of a header, in the order in which 4.5.3 has them.
struct Zip64Values {
  uint64_t bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t header_offset = 0;
};

// Replaces what is kMoved32 in the values of a central header by what the
// zip64 field holds.
//
// Errors: a field too short for the moved values; one with further bytes,
// unless these repeat the values that come after the last moved one, as
// miniz and Go write them.
Status ResolveCentral(const ExtraFields& extra, Zip64Values* values);

}  // namespace caisson::zip
