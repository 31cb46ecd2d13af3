// SPDX-License-Identifier: Apache-2.0
//
// The wording of what is wrong with an archive. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::zip {

// "'archive/data/0'". Bytes outside printable ASCII are written \xNN and long
// names are cut: a name from a file may hold anything.
std::string Quoted(std::string_view name);

// "record 'archive/data/0'".
std::string RecordLabel(std::string_view record);

// "record 'archive/data/0': local header".
std::string PartLabel(std::string_view record, std::string_view part);

// "expected crc32 0000abcd, found 00000000".
std::string ExpectedHex(std::string_view what, uint32_t expected,
                        uint32_t found);

// "expected stored size 64, found 63".
std::string Expected(std::string_view what, uint64_t expected, uint64_t found);

// kUnsupported in the form of ByteSource::Corrupt().
Status Unsupported(const ByteSource& source, uint64_t offset,
                   std::string_view what, std::string_view feature);

}  // namespace caisson::zip
