// SPDX-License-Identifier: Apache-2.0
//
// Finds the central directory of an archive by its end records, APPNOTE
// 4.3.14 to 4.3.16. Pure functions; any thread.
#pragma once

#include <cstdint>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::zip {

struct DirectoryPlace {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t entries = 0;  // at most bytes / kCentralBytes
};

// Of several end records the last counts whose comment reaches the end of the
// source. The directory ends exactly where the first of the end records
// begins, and what is stated twice agrees.
//
// Errors: kCorrupt; kUnsupported for an archive in several files.
Result<DirectoryPlace> FindDirectory(const ByteSource& source);

}  // namespace caisson::zip
