// SPDX-License-Identifier: Apache-2.0
//
// Where a file's tensors lie: what every format's parser gives, and all that
// the engine knows of a format when it reads.
//
// A Layout is plain data and holds no payload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/plane_chunk.h"
#include "caisson/state.h"
#include "caisson/tensor.h"
#include "core/base/endian.h"

namespace caisson {

// How a piece's bytes are stored.
enum class Encoding : uint8_t {
  kRaw,       // as in memory, up to byte order
  kDeflate,   // RFC 1951
  kPlane,     // one chunk of the plane codec
  kVarint32,  // protobuf varints of 32-bit integers
  kVarint64,  // protobuf varints of 64-bit integers
  kNested,    // one serialised message per element
};

inline bool IsVarints(Encoding encoding) {
  return encoding == Encoding::kVarint32 || encoding == Encoding::kVarint64;
}

// A run of a storage's elements at one place of one file, in one encoding.
struct Piece {
  uint32_t source = 0;        // index into Layout::sources
  uint64_t offset = 0;        // of the first stored byte in that file
  uint64_t stored_bytes = 0;  // in the file
  uint64_t first_elem = 0;    // in the storage; of StorageLayout::dtype
  uint64_t elems = 0;
  Encoding encoding = Encoding::kRaw;
  ByteOrder order = ByteOrder::kLittle;
  std::optional<uint32_t> crc32;  // of the decoded bytes in file byte order
  bool ends = true;  // kDeflate: false for a chunk that others follow
  PlaneChunk plane;  // kPlane
};

// One flat buffer of the file. Pieces are in order of first_elem and cover
// it without gap or overlap.
struct StorageLayout {
  std::string record;           // its name in the file, for messages
  DType dtype = DType::kUInt8;  // in which pieces count and swap
  uint64_t bytes = 0;           // decoded
  uint64_t index_bytes = 0;     // that the record has besides its pieces
  std::vector<Piece> pieces;
  StorageHandle handle;  // the storage in Layout::state, bytes not resident
};

// A tensor of the file: a view in Layout::state under one of its paths.
struct TensorLayout {
  Path path;
  TensorView view;  // spec.name is the joined path
  size_t storage;   // index into Layout::storages
};

// A record that holds no tensor but has a checksum: the pickle, the version.
struct OtherRecord {
  std::string record;
  Piece piece;         // first_elem and elems count bytes
  bool extra = false;  // not made from the state: writing would drop it
};

struct Layout {
  std::string format;                // "pytorch", "safetensors"
  std::vector<std::string> sources;  // file names; [0] is the opened one
  State state;                       // its storages are not resident
  std::vector<StorageLayout> storages;
  std::vector<TensorLayout> tensors;  // in order of appearance
  std::vector<OtherRecord> others;
  std::vector<std::string> warnings;  // odd, and no reason to refuse the file
};

}  // namespace caisson
