// SPDX-License-Identifier: Apache-2.0
//
// What a record of a database holds, as a walk over it tells: its fields but
// for payload, of which it tells where it lies. formats.md 5.1 and 5.2.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "caisson/caffe2_messages.h"
#include "caisson/dtype.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/caffe2/wire.h"
#include "core/formats/layout.h"

namespace caisson::caffe2 {

// TensorProto's field numbers.
enum class Field : uint32_t {
  kNone = 0,
  kDims = 1,
  kDataType = 2,
  kFloatData = 3,
  kInt32Data = 4,
  kByteData = 5,
  kStringData = 6,
  kName = 7,
  kDeviceDetail = 8,
  kDoubleData = 9,
  kInt64Data = 10,
  kSegment = 11,
  kRawData = 13,
  kDataFormat = 15,
};

// The list in which a tensor of `dtype` has its elements where they are not
// bytes; kRawData for bfloat16. formats.md 5.2.
Field ListOf(DType dtype);

// How that list stores them.
Encoding EncodingOf(Field list);

struct TensorRecord {
  TensorMessage fields;          // without payload
  Field payload = Field::kNone;  // kStringData: of any number of strings
  Extent extent;                 // of the payload

  // Whether that is all. If not (a list in several runs or unpacked, a message
  // twice), the message has to be decoded by protobuf.
  bool plain = true;
};

struct BlobRecord {
  std::optional<std::string> name;
  std::optional<std::string> type;
  std::optional<TensorRecord> tensor;
  std::optional<Extent> content;
  bool qtensor = false;
  std::optional<int32_t> num_chunks;
  std::optional<int32_t> chunk_id;
  bool plain = true;
};

// The fields of the message at `extent`, which `what` names. No memory is taken
// for payload.
//
// Errors: kCorrupt for what is no such message; kUnsupported for more than 64
// dimensions, and for groups.
Result<TensorRecord> WalkTensor(const ByteSource& source, Extent extent,
                                const std::string& what);
Result<BlobRecord> WalkBlob(const ByteSource& source, Extent extent,
                            const std::string& what);

// What a record says of a tensor, its contradictions looked for.
struct Chunk {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  uint64_t total = 0;  // elements of the whole tensor
  uint64_t begin = 0;  // of this record's elements
  uint64_t end = 0;
  uint32_t format = kFormatProtobuf;
  bool segment = false;  // whether it said which elements it has
};

// Errors, without context: kCorrupt for an unknown data type, dimensions that
// are negative or overflow, a segment outside the tensor, an unsupported
// format; kUnsupported for tensors of strings and of blobs.
Result<Chunk> ChunkOf(const TensorMessage& fields);

// Where the elements of `chunk` lie, and how they are stored.
//
// REQUIRES: record.plain.
// Errors, without context: kCorrupt if the payload is of another field than
// such elements have, or cannot be so many.
Result<Piece> PieceOf(const Chunk& chunk, const TensorRecord& record);

// The elements themselves, native and dense, of a message that was decoded. A
// FLOAT in kFormatBFloat16 becomes float32 if `widen`, else bfloat16.
//
// Errors: those of PieceOf().
Result<std::string> ElementsOf(const Chunk& chunk, const TensorMessage& tensor,
                               bool widen = true);

}  // namespace caisson::caffe2
