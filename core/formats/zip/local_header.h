// SPDX-License-Identifier: Apache-2.0
//
// Checks a record's local header and data descriptor, APPNOTE 4.3.7 and
// 4.3.9, against its entry in the central directory, which rules.
#pragma once

#include <cstdint>

#include "caisson/status.h"
#include "core/formats/zip/read_ahead.h"
#include "core/formats/zip/zip_reader.h"

namespace caisson::zip {

// Sets entry->data_offset. Header, data and, if there is one, descriptor must
// lie before `limit`.
//
// REQUIRES: the fixed part of the header lies within the source.
// Errors: kCorrupt; kUnsupported if the local header asks for what we lack.
Status CheckLocal(ReadAhead* reader, uint64_t limit, Entry* entry);

}  // namespace caisson::zip
