// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/zip_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/zip/central_directory.h"
#include "core/formats/zip/end_record.h"
#include "core/formats/zip/local_header.h"
#include "core/formats/zip/read_ahead.h"
#include "core/formats/zip/zip_error.h"

namespace caisson::zip {
namespace {

using Pointers = std::vector<Entry*>;

// Sorting rather than hashing: names come from the file, and a file can be
// made in which they all have the same hash.
Status CheckNamesDiffer(const ByteSource& source, Pointers& entries) {
  std::ranges::sort(entries, {}, &Entry::name);
  const auto twins = std::ranges::adjacent_find(entries, {}, &Entry::name);
  if (twins == entries.end()) return Status::Ok();
  return source.Corrupt(
      std::max(twins[0]->header_offset, twins[1]->header_offset),
      RecordLabel(twins[0]->name),
      "the name of another record at " +
          std::to_string(
              std::min(twins[0]->header_offset, twins[1]->header_offset)));
}

// Walks the records in file order. Each ends before the next begins, so no
// byte belongs to two, and the first begins with the source.
Status CheckLocals(ReadAhead* reader, uint64_t directory_offset,
                   Pointers& entries) {
  std::ranges::sort(entries, {}, &Entry::header_offset);
  if (!entries.empty() && entries[0]->header_offset != 0) {
    return reader->source().Corrupt(0, RecordLabel(entries[0]->name),
                                    std::to_string(entries[0]->header_offset) +
                                        " bytes before the first local header");
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const bool last = i + 1 == entries.size();
    const uint64_t limit =
        last ? directory_offset : entries[i + 1]->header_offset;
    if (limit == entries[i]->header_offset) {
      return reader->source().Corrupt(
          limit, RecordLabel(entries[i]->name),
          "shares its local header with " + RecordLabel(entries[i + 1]->name));
    }
    CAISSON_RETURN_IF_ERROR(CheckLocal(reader, limit, entries[i]));
  }
  return Status::Ok();
}

}  // namespace

Result<Directory> ReadDirectory(const ByteSource& source) {
  CAISSON_ASSIGN_OR_RETURN(const DirectoryPlace place, FindDirectory(source));
  ReadAhead reader(source);
  Directory directory;
  CAISSON_ASSIGN_OR_RETURN(directory.entries,
                           ReadCentralDirectory(&reader, place));
  Pointers entries;
  entries.reserve(directory.entries.size());
  for (Entry& entry : directory.entries) entries.push_back(&entry);
  CAISSON_RETURN_IF_ERROR(CheckNamesDiffer(source, entries));
  CAISSON_RETURN_IF_ERROR(CheckLocals(&reader, place.offset, entries));
  return directory;
}

}  // namespace caisson::zip
