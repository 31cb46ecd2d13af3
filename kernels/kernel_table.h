// SPDX-License-Identifier: Apache-2.0
//
// The kernels of one memory space, as a table of function pointers.
//
// A kernel sees pointers, counts and a stream; it never learns which file
// format asked. Entries take batches, so that many small tensors cost one
// launch. No entry is ever null; only a whole table can be absent.
//
// Thread safety: tables are constants; entries may run on many threads at
// once, each with its own workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "caisson/dtype.h"
#include "caisson/memory.h"
#include "caisson/plane_chunk.h"
#include "caisson/status.h"

namespace caisson {

// What is done to each element on its way from src to dst.
enum class Op : uint8_t {
  kCopy,
  kByteSwap,  // reverses units of SwapWidth(from)
  kConvert,   // from -> to: floating point rounds to nearest even, integers
              // that do not fit keep their low bytes and are reported
};

// Of which bytes the CRC is wanted.
enum class CrcOf : uint8_t {
  kSource,  // as read: the read path, where the file holds the source bytes
  kStored,  // as stored: the write path
};

// Whether what is stored stays in the caches. Never changes a result.
enum class Stores : uint8_t {
  kAuto,       // streams jobs that store far more than a cache holds
  kCached,     // for bytes that this CPU reads next
  kStreaming,  // past the caches, which is faster where no one reads soon
};

struct Step {
  Op op = Op::kCopy;
  DType from = DType::kUInt8;
  DType to = DType::kUInt8;  // == from unless op is kConvert
  CrcOf crc_of = CrcOf::kStored;
  Stores stores = Stores::kAuto;
};

// A strided view, in elements. Row-major: the last dimension runs fastest.
struct Strides {
  std::span<const int64_t> shape;
  std::span<const int64_t> strides;
};

// One tensor or a run of one. `src` lies in the table's own space; `dst`,
// `crc` and `bad` must be accessible from its device, as pinned host memory is.
struct Job {
  const std::byte* src = nullptr;
  std::byte* dst = nullptr;       // null: only the CRC is wanted
  size_t elems = 0;               // of Step::from
  const Strides* view = nullptr;  // null: contiguous. dst is always dense
  uint32_t* crc = nullptr;  // of this job's bytes alone; null: none wanted
  uint64_t* bad = nullptr;  // first integer out of range, else elems; or null
};

// One raw DEFLATE stream (RFC 1951) held whole in memory, or a chunk of one.
struct InflateJob {
  std::span<const std::byte> src;
  std::span<std::byte> dst;  // must be filled exactly
  bool ends = true;          // false: src ends with a full flush
};

// Bytes to encode as one raw DEFLATE stream, or as a chunk of one. Chunks that
// do not end and one that does, back to back, are one stream.
struct DeflateJob {
  std::span<const std::byte> src;
  std::span<std::byte> dst;  // of at least deflate_bound(src.size())
  size_t* stored = nullptr;  // how many bytes of dst the stream takes
  bool ends = true;  // false: ends with a full flush, so that another follows
};

// What is wrong with a chunk of the plane codec. Of several faults the least is
// told, so that all tables tell the same.
enum class PlaneFault : uint32_t {
  kNone,
  kFields,    // !IsSound(chunk)
  kTable,     // symbols, frequencies or constants
  kSegments,  // their lengths do not fill the coded part
  kStream,    // coded symbols do not end where they should, or are none
  kFiller,    // zeros or repeated elements are something else
  kCrc,       // the elements have another CRC-32
};

// "", or what to say: "its CRC-32 is not that of its elements".
std::string_view Name(PlaneFault fault);

// Elements to encode as one chunk of the plane codec. Elements are
// little-endian.
struct PlaneEncodeJob {
  const std::byte* src = nullptr;
  PlaneType type = PlaneType::kBytes;
  uint32_t elems = 0;           // from 1 to PlaneChunkElems(type)
  std::byte* dst = nullptr;     // room for PlaneBound(type, elems)
  PlaneChunk* chunk = nullptr;  // what was made of them: dst has its
                                // PlaneStoredBytes
};

// A chunk to decode.
struct PlaneDecodeJob {
  const std::byte* src = nullptr;  // PlaneStoredBytes(chunk) bytes
  PlaneChunk chunk;                // as a file has it: anything
  std::byte* dst = nullptr;        // chunk.elems elements
  PlaneFault* fault = nullptr;     // what came of it
};

// Integers to encode as protobuf's varints.
struct VarintEncodeJob {
  const std::byte* src = nullptr;
  size_t elems = 0;
  std::span<std::byte> dst;  // null: only `stored` is wanted
  size_t* stored = nullptr;  // how many bytes they take
};

// Varints held whole in memory.
struct VarintDecodeJob {
  std::span<const std::byte> src;
  std::byte* dst = nullptr;
  size_t elems = 0;  // that src must be, exactly
};

// Scratch that the caller lends for one call.
struct Workspace {
  std::byte* data = nullptr;
  size_t bytes = 0;
};

struct KernelTable {
  const char* name;  // "cpu" or "cuda"; for logs and benchmarks

  // Applies `step` to every job in one pass over memory. Any alignment.
  // Results exist once `stream` gets there; host tables ignore the stream.
  //
  // REQUIRES: src == dst, or the ranges are disjoint; elements fill whole
  // bytes; workspace.bytes >= workspace_bytes(step, jobs).
  // Errors: kUnsupported, naming the types, for a step that this table lacks;
  // kInvalidArgument for a step, a view, or elements that would grow in place.
  // Jobs before a bad one are done, it and those after it are not touched.
  Status (*transform)(const Step& step, std::span<const Job> jobs,
                      Workspace workspace, Stream stream);
  size_t (*workspace_bytes)(const Step& step, std::span<const Job> jobs);

  // Decodes every job. kCorrupt, naming the job's index, if a stream is
  // damaged, does not fill dst exactly, or does not end with its source, as a
  // chunk that does not end may not.
  Status (*inflate)(std::span<const InflateJob> jobs, Stream stream);

  // Encodes every job; `level` from 1, fast, to 12, small.
  Status (*deflate)(int level, std::span<const DeflateJob> jobs, Stream stream);
  size_t (*deflate_bound)(size_t bytes);

  // Encodes every job. All tables make the same bytes. What lies behind the
  // stored bytes in a job's room is unspecified.
  //
  // REQUIRES: src and dst of all jobs are disjoint; workspace.bytes >=
  // plane_encode_bytes(jobs).
  // Errors: kInvalidArgument, naming the job's index, for a number of elements
  // that no chunk has; then nothing is done.
  Status (*plane_encode)(std::span<const PlaneEncodeJob> jobs,
                         Workspace workspace, Stream stream);
  size_t (*plane_encode_bytes)(std::span<const PlaneEncodeJob> jobs);

  // Decodes every job, whatever its bytes are: reads nothing but `src`, writes
  // nothing but the elements of `dst`, and says in `*fault` whether these are
  // what was encoded; they are unspecified if not. The Status is about the
  // call, not the bytes.
  //
  // REQUIRES: as for plane_encode.
  Status (*plane_decode)(std::span<const PlaneDecodeJob> jobs,
                         Workspace workspace, Stream stream);
  size_t (*plane_decode_bytes)(std::span<const PlaneDecodeJob> jobs);

  // Between elements of `dtype`, native and at any alignment, and varints of
  // their values: bool, integers of up to 64 bits but uint32 and uint64, and
  // float16, whose bits count as uint16. Negative ones take 10 bytes. Decoding
  // keeps the low bits of a value; of a bool, whether it is 0.
  //
  // Errors: kUnsupported for another dtype; kInvalidArgument if dst is too
  // small; kCorrupt, naming the job's index, for a varint of more than 10 bytes
  // and where src does not hold as many as are wanted.
  Status (*encode_varints)(DType dtype, std::span<const VarintEncodeJob> jobs,
                           Stream stream);
  Status (*decode_varints)(DType dtype, std::span<const VarintDecodeJob> jobs,
                           Stream stream);
};

// The table for `device`, or kUnavailable. Free to call often.
Result<const KernelTable*> KernelsFor(Device device);

}  // namespace caisson
