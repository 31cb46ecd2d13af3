// SPDX-License-Identifier: Apache-2.0
//
// The record ".caisson/pack" of a file with compressed storages: the profile
// that the file has without them, and where the chunks of deflated records are.
// docs/formats.md, packed files.
//
// Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "caisson/profile.h"
#include "caisson/status.h"
#include "core/formats/format.h"

namespace caisson::torch {

inline constexpr std::string_view kPackRecord = ".caisson/pack";

struct PackRecord {
  Profile profile;           // without a prefix
  uint32_t chunk_bytes = 0;  // decoded, of all chunks but each record's last

  // Of "data/<number>", in the file's order.
  struct Deflated {
    uint32_t number = 0;
    std::vector<ChunkFacts> chunks;
  };
  std::vector<Deflated> deflated;
};

// Bytes of a record of so many deflated records with so many chunks in all.
uint64_t PackBytes(uint64_t deflated, uint64_t chunks);

std::vector<std::byte> PackContent(const PackRecord& record);

// Errors: kCorrupt; kUnsupported for another version.
Result<PackRecord> ParsePack(std::span<const std::byte> bytes);

}  // namespace caisson::torch
