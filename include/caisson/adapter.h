// SPDX-License-Identifier: Apache-2.0
//
// Random-access sources of bytes: a file, a stream, memory, or a caller's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "caisson/status.h"

namespace caisson {

// Something of a fixed size that can be read at any offset. The content must
// not change while a reader uses it.
//
// Thread safety: Read() is called from several threads at once.
class ReadAdapter {
 public:
  virtual ~ReadAdapter() = default;

  // What to call it in messages: the path, or "<memory>".
  virtual const std::string& name() const = 0;

  // Bytes in all.
  virtual uint64_t size() const = 0;

  // Reads up to dst.size() bytes at `offset` and returns how many: fewer only
  // at the end, 0 at or past it. Never writes past dst. On error the contents
  // of dst are unspecified.
  virtual Result<size_t> Read(uint64_t offset,
                              std::span<std::byte> dst) const = 0;

  // The descriptor of the file that this is, byte for byte, which a mapping
  // needs; -1 if it is none. Stays the adapter's.
  virtual int descriptor() const { return -1; }
};

// A file, by pread.
class FileAdapter : public ReadAdapter {
 public:
  // Errors: kNotFound, kIo; kInvalidArgument for a directory.
  static Result<std::shared_ptr<FileAdapter>> Open(const std::string& path);
  ~FileAdapter() override;

  FileAdapter(const FileAdapter&) = delete;
  FileAdapter& operator=(const FileAdapter&) = delete;

  const std::string& name() const override { return path_; }
  uint64_t size() const override { return size_; }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;
  int descriptor() const override { return fd_; }

 private:
  FileAdapter(std::string path, int fd, uint64_t size);

  std::string path_;
  int fd_;
  uint64_t size_;
};

// A seekable stream, from its position at construction to its end. Reads are
// serialised by a lock. Does not own the stream, which nobody else may use
// meanwhile.
class IStreamAdapter : public ReadAdapter {
 public:
  // Errors: kIo if the stream cannot seek.
  static Result<std::shared_ptr<IStreamAdapter>> Open(
      std::istream* stream, std::string name = "<stream>");

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;

 private:
  IStreamAdapter(std::istream* stream, std::string name, uint64_t start,
                 uint64_t size);

  std::istream* stream_;
  std::string name_;
  uint64_t start_;
  uint64_t size_;
  mutable std::mutex lock_;  // guards the position of *stream_
};

// Bytes in memory, which `owner` keeps alive; without one the caller does.
class MemoryAdapter : public ReadAdapter {
 public:
  explicit MemoryAdapter(std::span<const std::byte> bytes,
                         std::string name = "<memory>",
                         std::shared_ptr<const void> owner = nullptr);

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  std::shared_ptr<const void> owner_;
};

}  // namespace caisson
