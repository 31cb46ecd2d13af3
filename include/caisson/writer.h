// SPDX-License-Identifier: Apache-2.0
//
// Writes a State into one file.
//
// The file appears whole or not at all: the bytes go to a temporary in the
// same directory, which is synced and then renamed over the target. A failure
// before the rename leaves the old file untouched and no temporary behind; if
// only the directory cannot be synced, the error says that the new file is in
// place.
//
// Thread safety: one Writer may write from one thread at a time; several
// Writers are independent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/compression.h"
#include "caisson/file_format.h"
#include "caisson/profile.h"
#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

struct WriteOptions {
  // The layout of a PyTorch file. Default: the state's own profile.
  std::optional<Profile> profile;

  // Which kind of file. Default: what the path's suffix says.
  FormatOptions format = {};

  // Whether tensors are compressed, in PyTorch files only; on this thread.
  CompressMode compress = CompressMode::kNone;

  // Whether the file and its directory are synced before Write() returns.
  // Without, the result survives a killed process, and may be lost or empty
  // after a power cut. Default: on.
  bool sync = true;

  // Bytes of the staging window. A multiple of 4096. Default: 8 MiB.
  size_t window_bytes = size_t{8} << 20;
};

struct WriteReport {
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;  // of the storages, each once
  double seconds = 0;

  // What FormatOptions::drop left out: "'step': an int".
  std::vector<std::string> dropped;

  CompressionReport compression;  // of WriteOptions::compress
};

class Writer {
 public:
  explicit Writer(WriteOptions options = {});
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  ~Writer();

  // Writes `state` to `path`. Blocks until it is in place. Of several files,
  // each appears whole or not at all, one after the other, the index last. The
  // staging window is kept for the next call.
  //
  // REQUIRES: nobody changes the tensors meanwhile; every storage resident.
  // Errors: kInvalidArgument for a state that cannot be saved (a view that
  // exceeds its storage, two dtypes over one storage, a cycle), naming the
  // path; kUnsupported for the suffix of another format, and for a state that
  // the format cannot carry; kNotFound if the directory is missing; kIo.
  Result<WriteReport> Write(const State& state, const std::string& path);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson
