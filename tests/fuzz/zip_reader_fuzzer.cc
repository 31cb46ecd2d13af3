// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a zip directory or a typed error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "caisson/adapter.h"
#include "core/base/byte_source.h"
#include "core/base/checked_math.h"
#include "core/formats/zip/zip_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const caisson::ByteSource source(std::make_shared<caisson::MemoryAdapter>(
      std::as_bytes(std::span(data, size))));
  const auto directory = caisson::zip::ReadDirectory(source);
  if (!directory.has_value()) return 0;
  // What is accepted lies inside the file, and no two records overlap.
  uint64_t stored_bytes = 0;
  for (const caisson::zip::Entry& entry : directory->entries) {
    if (!caisson::FitsWithin(entry.data_offset, entry.stored_bytes, size)) {
      std::abort();
    }
    stored_bytes += entry.stored_bytes;
  }
  if (stored_bytes > size) std::abort();
  return 0;
}
