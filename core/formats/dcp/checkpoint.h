// SPDX-License-Identifier: Apache-2.0
//
// What the metadata of a torch.distributed.checkpoint tells: which tensors and
// values there are, and where each of their chunks is stored. formats.md 6.
//
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/state.h"

namespace caisson::dcp {

// The names of the metadata in a checkpoint's folder, ours and stock's.
inline constexpr const char* kManifestName = "caisson.json";
inline constexpr const char* kMetadataName = ".metadata";

// Where a chunk or a value is: a record of an archive that is a whole file,
// as Caisson writes it, or an archive of its own within a file, as stock does.
struct Place {
  std::string file;  // in the checkpoint's folder; a plain name
  std::optional<std::string> record;
  uint64_t offset = 0;  // of the record's data, or of the archive
  uint64_t bytes = 0;   // of the record as stored, or of the archive
  uint32_t crc32 = 0;   // of a record; 0: none was stored
};

// A block of a tensor.
struct Chunk {
  std::vector<int64_t> offsets;  // one for each dimension
  std::vector<int64_t> sizes;
  Place place;
};

// A tensor, or a value that is none.
struct Item {
  std::string fqn;
  Path path;  // where it stood before the state was flattened; never empty

  // Of a tensor. The chunks cover it, each element once.
  bool is_tensor = false;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<Chunk> chunks;

  Place place;  // of a value
};

struct Checkpoint {
  std::vector<Item> items;  // in the order of the metadata; names differ
};

}  // namespace caisson::dcp
