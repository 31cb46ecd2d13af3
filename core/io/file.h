// SPDX-License-Identifier: Apache-2.0
//
// An open file: reads and writes at offsets, whole or failed. Interrupted
// calls and short transfers are absorbed; every error names path, offset and
// the system's reason.
//
// Thread safety: ReadAt, ReadUpTo and WriteAt may run on many threads at once,
// writes on ranges that do not overlap. Everything else needs the File alone.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "caisson/status.h"
#include "core/io/file_system.h"

namespace caisson {

class File {
 public:
  // Opens a regular file. A pipe or a device is refused without waiting for
  // its other end. `files` must outlive the File, here and below.
  //
  // Errors: kNotFound; kInvalidArgument for what is no regular file; kIo.
  static Result<File> OpenForRead(const std::string& path,
                                  FileSystem& files = FileSystem::Posix());

  // Creates `path` for reading and writing, with permissions mode & ~umask.
  //
  // Errors: kNotFound if the directory is missing; kInvalidArgument if `path`
  // exists; kIo.
  static Result<File> CreateExclusive(const std::string& path,
                                      mode_t mode = 0666,
                                      FileSystem& files = FileSystem::Posix());

  // Takes over an open descriptor; `path` is for messages.
  File(int fd, std::string path, FileSystem& files)
      : files_(&files), path_(std::move(path)), fd_(fd) {}

  // The moved-from File is closed.
  File(File&& other) noexcept
      : files_(other.files_),
        path_(std::move(other.path_)),
        fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept;

  // Closes and drops the error; a writer that cares calls Close().
  ~File();

  const std::string& path() const { return path_; }
  bool is_open() const { return fd_ >= 0; }

  // REQUIRES, from here on: is_open().
  int fd() const { return fd_; }

  // Gives the descriptor to the caller; the File is closed afterwards.
  int Release() { return std::exchange(fd_, -1); }

  // Fills dst. kIo if the file ends before. On error the contents of dst are
  // unspecified.
  Status ReadAt(uint64_t offset, std::span<std::byte> dst) const;

  // Reads up to dst.size() bytes and returns how many: fewer only at the end,
  // 0 at or past it.
  Result<size_t> ReadUpTo(uint64_t offset, std::span<std::byte> dst) const;

  // Writes all of src. After an error any part of the range may have been
  // written.
  Status WriteAt(uint64_t offset, std::span<const std::byte> src);

  Result<uint64_t> Size() const;  // bytes
  Status Truncate(uint64_t bytes);

  // Reserves space for the first `bytes`, so that a later write cannot run out
  // of it. The size stays; Truncate() to the final size gives back the rest.
  // False, with nothing reserved, where the file system cannot.
  Result<bool> Allocate(uint64_t bytes);

  // Direct I/O from now on, or not: see FileSystem::SetDirect(). False, with
  // nothing changed, where the file system refuses it; some refuse the first
  // transfer instead.
  bool SetDirect(bool direct);

  // Bytes that the caller may still write to the file system; none where it
  // does not say.
  std::optional<uint64_t> FreeBytes() const;

  // Drops the clean pages of a range from the page cache, which is a hint.
  void DropCache(uint64_t offset, uint64_t bytes) const;

  // Returns when the content and the size are on the device. After an error
  // what was written before is in doubt, and a second Sync() proves nothing.
  Status Sync();

  // Makes nothing durable, but finds the errors that a network file system
  // would otherwise report from Close().
  Status Flush();

  // Reports what some file systems only find out now. The File is closed
  // whatever the answer.
  Status Close();

 private:
  FileSystem* files_;
  std::string path_;
  int fd_;
};

// What File::ReadUpTo() does, for an owner of a bare descriptor.
Result<size_t> ReadUpTo(FileSystem& files, int fd, const std::string& path,
                        uint64_t offset, std::span<std::byte> dst);

}  // namespace caisson
