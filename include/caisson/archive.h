// SPDX-License-Identifier: Apache-2.0
//
// Named records in a zip archive, as PyTorch keeps them. Method names are
// those of PyTorch's own caffe2::serialize::PyTorchStreamReader.
//
// Records are named without the archive's folder: "data.pkl", "data/0".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/status.h"

namespace caisson {

// A record's bytes, owned.
struct Record {
  std::unique_ptr<std::byte[]> data;  // null if size is 0
  size_t size = 0;
};

// Gives the bytes of one record in order, some at a time.
//
// Thread safety: one thread at a time.
class ChunkRecordIterator {
 public:
  ChunkRecordIterator(ChunkRecordIterator&&) noexcept;
  ~ChunkRecordIterator();

  // The next bytes, at most the chunk size of construction, into `dst`;
  // returns how many, 0 at the end. REQUIRES: dst holds a chunk.
  Result<size_t> next(std::span<std::byte> dst);

  // Bytes of the record.
  size_t recordSize() const;

 private:
  friend class PyTorchStreamReader;
  class Impl;
  explicit ChunkRecordIterator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Thread safety: const methods may run on many threads at once.
class PyTorchStreamReader {
 public:
  // Copies `size` bytes; may be called with pieces of any size.
  using CopyFunction =
      std::function<void(void* dst, const void* src, size_t size)>;

  // Reads the directory and every local header, no payload.
  //
  // Errors: kNotFound, kIo; kUnsupported for what is no zip archive, naming
  // what it seems to be, and for features such as encryption; kCorrupt if the
  // directory contradicts itself, the local headers or the file's size.
  static Result<PyTorchStreamReader> Open(const std::string& path);

  // `start` is the archive's first byte within the adapter.
  static Result<PyTorchStreamReader> Open(
      std::shared_ptr<const ReadAdapter> adapter, uint64_t start = 0);

  PyTorchStreamReader(PyTorchStreamReader&&) noexcept;
  PyTorchStreamReader& operator=(PyTorchStreamReader&&) noexcept;
  ~PyTorchStreamReader();

  // A record's decoded content, checked against its CRC unless that is 0 or
  // checking is off. kNotFound if there is none of that name, after which the
  // reader still works; kCorrupt, naming record and offset.
  Result<Record> getRecord(const std::string& name) const;

  // The same into `dst`. kInvalidArgument if dst.size() is not its size.
  Status getRecord(const std::string& name, std::span<std::byte> dst) const;

  // The same through `chunk`, a buffer of the caller's, with `copy` moving
  // each chunk to its place in `dst`: for destinations on a device.
  Status getRecord(const std::string& name, void* dst, size_t size,
                   std::span<std::byte> chunk, const CopyFunction& copy) const;

  // The same with one range for each of the additional adapters and one for
  // our own, read by a thread each. Used for stored records of at least
  // setAdditionalReaderSizeThreshold() bytes; others are read alone.
  Result<Record> getRecord(
      const std::string& name,
      std::span<const std::shared_ptr<const ReadAdapter>> additional) const;
  Status getRecord(
      const std::string& name, std::span<std::byte> dst,
      std::span<const std::shared_ptr<const ReadAdapter>> additional) const;

  // Decoded bytes of a record. kNotFound.
  Result<uint64_t> getRecordSize(const std::string& name) const;

  // Of its local header, from the archive's start. kNotFound.
  Result<uint64_t> getRecordHeaderOffset(const std::string& name) const;

  // Of its stored bytes, from the archive's start. kNotFound.
  Result<uint64_t> getRecordOffset(const std::string& name) const;

  // Where a record's data would start whose local header is written at
  // `cursor`, without reading: `name` includes the archive's folder. The
  // arithmetic of formats.md 1.4.
  static uint64_t getRecordOffsetNoRead(uint64_t cursor, std::string_view name,
                                        uint64_t size, uint64_t alignment);

  bool hasRecord(const std::string& name) const;

  // In directory order.
  std::vector<std::string> getAllRecords() const;

  // Reads `name` in pieces of `chunk_size` bytes. kNotFound. The reader must
  // outlive the iterator.
  Result<ChunkRecordIterator> createChunkReaderIter(const std::string& name,
                                                    size_t chunk_size) const;

  // The folder of all records: "archive".
  const std::string& archiveName() const;

  // The number in ".data/version" or "version": 1 to 10.
  uint64_t version() const;

  // ".data/serialization_id", or empty.
  const std::string& serializationId() const;

  // Hides records whose names end in ".debug_pkl" while false: hasRecord() is
  // false and getRecord() gives no bytes. Default: true.
  void setShouldLoadDebugSymbol(bool load);

  // Bytes from which additional readers are used. Default: 1 MiB.
  void setAdditionalReaderSizeThreshold(size_t bytes);

  // Whether getRecord() compares CRCs. Default: true.
  void setShouldVerify(bool verify);

 private:
  class Impl;
  explicit PyTorchStreamReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson
