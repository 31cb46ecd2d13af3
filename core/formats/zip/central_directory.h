// SPDX-License-Identifier: Apache-2.0
//
// Parses the central directory, APPNOTE 4.3.12, and checks each header by
// itself. Pure functions; any thread.
#pragma once

#include <vector>

#include "caisson/status.h"
#include "core/formats/zip/end_record.h"
#include "core/formats/zip/read_ahead.h"
#include "core/formats/zip/zip_reader.h"

namespace caisson::zip {

// kUnsupported if a record's `flags` or `method` ask for what we lack. Both
// the central and the local header, `part`, must pass: they may differ.
Status CheckFeatures(const ByteSource& source, uint64_t offset,
                     std::string_view record, std::string_view part,
                     uint16_t flags, uint16_t method);

// The entries in directory order, Entry::data_offset unset: exactly
// place.entries headers that fill the directory exactly.
//
// Errors: kCorrupt, kUnsupported.
Result<std::vector<Entry>> ReadCentralDirectory(ReadAhead* reader,
                                                const DirectoryPlace& place);

}  // namespace caisson::zip
