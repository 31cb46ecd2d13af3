// SPDX-License-Identifier: Apache-2.0
//
// Parses the directory of a zip or zip64 archive and checks it against every
// local header. Strict: what two readers could see differently is refused, so
// that a scanner and a loader agree (docs/formats.md, section on zip).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::zip {

struct Entry {
  std::string name;            // the full name, with the folder
  uint64_t header_offset = 0;  // of the local header
  uint64_t data_offset = 0;    // of the stored bytes
  uint64_t stored_bytes = 0;
  uint64_t bytes = 0;   // decoded
  uint32_t crc32 = 0;   // of the decoded bytes, as stored; 0: none computed
  uint16_t method = 0;  // kMethodStored or kMethodDeflate
  uint16_t flags = 0;
};

struct Directory {
  std::vector<Entry> entries;  // in directory order
};

// Reads the directory at the end of `source` and all local headers; offsets
// count from the source's start. Memory is proportional to the directory's
// real size.
//
// Errors: kUnsupported for encryption, patches, masked headers, methods other
// than stored and deflate, and archives in several files; kCorrupt for
// everything that contradicts itself: see zip_attacks_test.cc and
// zip_directory_attacks_test.cc.
Result<Directory> ReadDirectory(const ByteSource& source);

}  // namespace caisson::zip
