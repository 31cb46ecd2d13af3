// SPDX-License-Identifier: Apache-2.0
//
// Reads tensors from one file, whatever its format.
//
// Open() parses the index and no payload, so opening a 100 GB checkpoint
// costs what its index costs. The file must not change while a Reader is
// open.
//
// Thread safety: const methods may run on many threads at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/compression.h"
#include "caisson/load_options.h"
#include "caisson/memory.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "caisson/tensor.h"

namespace caisson {

// A tensor of a file. One of a distributed checkpoint may lie in several: then
// `file` and `offset` are those of its first chunk, or, where chunks are blocks
// of several dimensions, of no file; `stored_bytes` and `crc32` are of all.
struct TensorInfo {
  Path path;           // its identity; view.spec.name is the path joined by '.'
  TensorView view;     // over a storage that is not resident
  std::string file;    // that holds its storage: the one opened, or a shard
  std::string record;  // that holds its storage; in safetensors its own name
  uint64_t offset = 0;        // of the record's data in the file
  uint64_t stored_bytes = 0;  // of the record in the file
  Compression compression = Compression::kNone;
  std::optional<uint32_t> crc32;  // of the record, uncompressed
};

struct ReaderOptions {
  // Where the file begins within the adapter. Default: at its first byte.
  uint64_t start = 0;

  // Accept only what torch.load(weights_only=True) accepts: its opcodes and
  // its globals. Default: also pickle protocols 3 to 5, and globals that are
  // unknown, which are kept and never looked up.
  bool strict = false;
};

// The elements [begin, end) of one dimension.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// One tensor, or a block of it, and where it shall go.
struct ReadRequest {
  const TensorInfo* tensor = nullptr;  // of this Reader
  std::vector<Range> block;  // one for each dimension; empty: all of it
  Region dst;  // dense, row-major, native order; exactly the block's bytes
};

struct ReadReport {
  // For each request, whether every byte was checked against a stored CRC.
  // A part of a stored record cannot be, nor a record without a CRC.
  std::vector<bool> checked;
  uint64_t bytes_read = 0;  // from the file
};

// One damaged place.
struct Damage {
  std::string file;
  std::string record;                // empty: the archive's directory
  std::vector<std::string> tensors;  // names of all that view the record
  uint64_t offset = 0;               // of the record's data in the file
  std::string problem;
};

struct VerifyReport {
  uint64_t checked = 0;                // records whose CRC was compared
  std::vector<std::string> unchecked;  // records stored without a CRC
  std::vector<Damage> damage;

  // Why the state could not be read, though its records could: an object that
  // this version does not know. Empty if it was read.
  std::string unread;

  bool ok() const { return damage.empty(); }
};

class Reader {
 public:
  // Opens a file. Its first bytes tell the format; where they do not, the
  // suffix ".safetensors" says what it should have been. A path may also be
  // that of a safetensors index (".safetensors.index.json"), whose shards are
  // opened too, or of a folder that holds one index or one safetensors file. Or
  // it is that of a checkpoint of torch.distributed.checkpoint, ours or
  // stock's, or of the caisson.json or .metadata in it: each tensor is one,
  // whatever chunks it was saved in, and the state is nested as it was.
  //
  // Errors: kNotFound, also for a checkpoint whose save never ended; kIo;
  // kInvalidArgument for a folder with none or several; kUnsupported if no
  // format claims the file, naming what it seems to be; kCorrupt if the index
  // contradicts itself or points outside the file.
  static Result<Reader> Open(const std::string& path,
                             const ReaderOptions& options = {});
  static Result<Reader> Open(std::shared_ptr<const ReadAdapter> adapter,
                             const ReaderOptions& options = {});

  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  // "pytorch", "pytorch_legacy" (torch.save before 1.6), "safetensors", "dcp".
  const std::string& format() const;

  // What is odd about the file and no reason to refuse it.
  std::span<const std::string> warnings() const;

  // Bytes of the file, and of its shards if it is an index, from
  // ReaderOptions::start on, where all offsets count from.
  uint64_t file_bytes() const;

  // Every tensor, in order of appearance. Valid as long as the Reader.
  std::span<const TensorInfo> tensors() const;

  // The tensor called `name` (its path joined by '.'). kNotFound;
  // kInvalidArgument, naming the paths, if several paths join to `name`.
  Result<const TensorInfo*> Find(std::string_view name) const;

  // Records that are no part of the state, so that writing it drops them: what
  // others put into the archive, storages that no tensor names.
  std::vector<std::string> extra_records() const;

  // Globals in the file that torch.load(weights_only=True) would refuse, each
  // once, also those of objects that the pickle drops again.
  std::span<const Global> unknown_globals() const;

  // The tree, with storages that are not resident. Valid as long as the
  // Reader, which it shares its nodes with.
  const State& state() const;

  // A copy of state() that may be changed, over the same storages: for
  // SaveOptions::source.
  //
  // Errors: kUnsupported as of Load(), unless `keep_unknown`.
  Result<State> Outline(bool keep_unknown = false) const;

  // Fills each request's destination, which is on a device only with an Engine:
  // stored values (conj and neg are not
  // applied), checked against the stored CRC where a whole record is read.
  // Blocks until the bytes are in place.
  //
  // Errors: kInvalidArgument before the first byte is read if a request does
  // not fit; kCorrupt, naming the record, if a CRC differs; kIo. On error the
  // contents of the destinations are unspecified.
  Result<ReadReport> Read(std::span<const ReadRequest> requests,
                          Stream stream = {}) const;

  // The whole state in memory that it owns, sharing as in the file.
  //
  // Errors: those of Read; kUnsupported, naming it, if the file uses a global
  // that torch.load(weights_only=True) would refuse and options do not keep it.
  // Before the first byte of a storage is read: kNotFound for a glob that
  // covers no tensor; for casts, kInvalidArgument for a dtype or, if that is
  // all it covers, tensors that are not floating, and for views of one storage
  // that would get different dtypes; kUnsupported, naming the tensor, for a
  // pair of dtypes that has no kernel, and for a tensor whose dtype is not that
  // of its storage or is told elsewhere in the file too.
  Result<State> Load(const LoadOptions& options = {}) const;

  // Fills the tensors of `state`, which has the same paths, from the file;
  // its other values stay as they are.
  //
  // Errors: before the first byte is written, kNotFound for a tensor that the
  // file lacks, kInvalidArgument for one whose dtype, shape, conj or neg differ
  // or that only the file has, kUnsupported for a quantised one; afterwards
  // those of Read.
  Status LoadInto(State& state, const LoadIntoOptions& options = {}) const;

  // Whether writing the state, uncompressed and in its own profile, gives this
  // file again, byte for byte. Only a PyTorch file can be that, and
  // torch.save's are. Reads all but the payload; believes its CRCs.
  //
  // Errors: kIo, and kCorrupt for a file that changes meanwhile.
  Result<bool> Reproducible() const;

  // Reads every record and reports all damage, not the first. An error only
  // if reading itself fails.
  Result<VerifyReport> Verify() const;

  class Impl;

 private:
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether `path` is the folder of a distributed checkpoint, whole or with
// shards alone, or the file in one that tells what is where.
bool IsDistributedCheckpoint(const std::string& path);

// Whether `path` has the name of a shard of one, which is checked with it.
// Looks at no file.
bool IsCheckpointShard(const std::string& path);

// Whether torch.load(weights_only=True) accepts that global, and so Load().
bool IsLoadable(const Global& global);

// Reader::Verify() of a file, also of one that no Reader opens: where only the
// state cannot be read, every record is checked all the same; where the
// archive's directory is damaged, that is the report's one damage. Of a
// distributed checkpoint every record of every shard is checked.
//
// Errors: kNotFound, kIo; kUnsupported for what is no archive.
Result<VerifyReport> VerifyFile(const std::string& path);

}  // namespace caisson
