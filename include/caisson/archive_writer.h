// SPDX-License-Identifier: Apache-2.0
//
// Writes named records into a zip archive, as PyTorch keeps them. Method names
// are those of PyTorch's own caffe2::serialize::PyTorchStreamWriter, and so are
// the bytes.
//
// Records are named without the archive's folder: "data.pkl", "data/0".
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "caisson/status.h"

namespace caisson {

struct ArchiveWriteOptions {
  // Off: every stored CRC is 0, which readers take for "not computed".
  bool compute_crc32 = true;

  // Every record's data starts at a multiple of this: 1 to 32768.
  uint32_t alignment = 64;

  // Sync file and directory in writeEndOfFile(). For paths only.
  bool sync = true;
};

class PyTorchStreamWriter {
 public:
  // Takes the next bytes of the archive and returns how many it kept; fewer
  // than `size` means that it failed.
  using Sink = std::function<size_t(const void* data, size_t size)>;

  // To a file, which appears with writeEndOfFile(); until then, and if that
  // never comes, `path` stays as it was. The archive's folder is named after
  // the file: "a/model.v1.pt" has "model.v1".
  //
  // Errors: kInvalidArgument for options out of range, a path without a stem,
  // or a directory; kNotFound if the directory is missing; kIo.
  static Result<PyTorchStreamWriter> Open(
      const std::string& path, const ArchiveWriteOptions& options = {});

  // To a function, in order and never twice. The folder is "archive".
  static Result<PyTorchStreamWriter> Open(
      Sink sink, const ArchiveWriteOptions& options = {});

  // To memory, appended to *bytes, which must outlive the writer. The folder
  // is "archive".
  static Result<PyTorchStreamWriter> Open(
      std::vector<std::byte>* bytes, const ArchiveWriteOptions& options = {});

  PyTorchStreamWriter(PyTorchStreamWriter&&) noexcept;
  PyTorchStreamWriter& operator=(PyTorchStreamWriter&&) noexcept;

  // Drops a file that was not finished.
  ~PyTorchStreamWriter();

  // The least version that readers must know. From 6 on the record is called
  // ".data/version". Default: 3.
  void setMinVersion(uint64_t version);

  // Appends a record of `size` bytes. With null `data` its place is left empty,
  // with CRC 0, to be filled in the file later; sinks and memory get zeros.
  // With `compress` the bytes are deflated, unless they are 3 or fewer.
  //
  // Errors: kInvalidArgument for a name that is empty, begins with '/', holds
  // NUL, is too long, was written before, or differs from such a one only in
  // case, which stock readers mix up; kInvalidArgument after
  // writeEndOfFile(); kIo. After kIo the archive cannot be finished.
  Status writeRecord(const std::string& name, const void* data, size_t size,
                     bool compress = false);

  // Appends version, byteorder (unless it was written) and serialization id,
  // then the directory, and puts a file in its place.
  Status writeEndOfFile();

  // Names, without the folder.
  const std::unordered_set<std::string>& getAllWrittenRecords() const;

  bool finalized() const;
  const std::string& archiveName() const;

  // 40 digits, once finalized.
  const std::string& serializationId() const;

 private:
  class Impl;
  explicit PyTorchStreamWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson
