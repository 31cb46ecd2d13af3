// SPDX-License-Identifier: Apache-2.0
//
// The system calls behind File and AtomicFile, one virtual function each, so
// that a test can fail, shorten or kill at the n-th. Loops, retries and
// messages are the callers' work.
//
// Each returns what the system call does, with -errno in place of -1. `dir` is
// the descriptor of a directory, or AT_FDCWD.
//
// Thread safety: all functions may be called from many threads at once.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/status.h"

namespace caisson {

// What direct I/O asks of offsets, sizes and addresses: no less than the
// logical block of any device in use, no more than a page.
inline constexpr size_t kDirectAlignment = 4096;

class FileSystem {
 public:
  // The one of this machine. Lives as long as the program.
  static FileSystem& Posix();

  virtual int Open(int dir, const char* name, int flags, mode_t mode) = 0;

  // A file in `dir` that has no name and vanishes with its last descriptor,
  // unless LinkUnnamed() gives it one. Negative where either is impossible.
  virtual int OpenUnnamed(int dir, mode_t mode) = 0;
  virtual int LinkUnnamed(int fd, int dir, const char* name) = 0;

  virtual int Close(int fd) = 0;

  // May transfer fewer bytes than asked for. REQUIRES: the range ends below
  // 2^63.
  virtual ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) = 0;
  virtual ssize_t Write(int fd, std::span<const std::byte> src,
                        uint64_t offset) = 0;

  // Of a file or a directory.
  virtual int Sync(int fd) = 0;

  // What a close() would send to a network file system, and the errors it
  // would report, while the file stays open. Costs nothing elsewhere, and makes
  // nothing durable.
  virtual int Flush(int fd) = 0;

  virtual int Truncate(int fd, uint64_t bytes) = 0;

  // Reserves space for the first `bytes` without changing the size.
  virtual int Allocate(int fd, uint64_t bytes) = 0;

  // Turns direct I/O (O_DIRECT) of a descriptor on or off: transfers between
  // device and memory without the page cache, whose offset, size and address
  // are multiples of kDirectAlignment. Negative where it is impossible.
  virtual int SetDirect(int fd, bool direct) = 0;

  // Bytes that the caller may still write to the file system of `fd`.
  virtual int FreeBytes(int fd, uint64_t* bytes) = 0;

  // Drops the clean pages of a range from the page cache; a hint. 0 bytes
  // mean all that follow.
  virtual int DropCache(int fd, uint64_t offset, uint64_t bytes) = 0;

  virtual int Stat(int fd, struct stat* found) = 0;
  // Of the name itself, if it is a symbolic link.
  virtual int StatName(int dir, const char* name, struct stat* found) = 0;
  virtual int Chmod(int fd, mode_t mode) = 0;

  // Takes the exclusive flock of the file, which its last descriptor releases.
  // -EWOULDBLOCK if somebody else has it.
  virtual int Lock(int fd) = 0;

  virtual int Rename(int dir, const char* from, const char* to) = 0;
  virtual int Unlink(int dir, const char* name) = 0;

  // Makes `name` a symbolic link to `target`. -EPERM where the file system has
  // none.
  virtual int Symlink(const char* target, int dir, const char* name) = 0;

  // Where the symbolic link `name` leads. -EINVAL if it is anything else.
  virtual int ReadLink(int dir, const char* name, std::string* target) = 0;

  // Appends every name in `dir`.
  virtual int List(int dir, std::vector<std::string>* names) = 0;

 protected:
  ~FileSystem() = default;  // nobody deletes one through this class
};

// Calls `call` until it answers something other than -EINTR.
template <class Call>
auto Uninterrupted(const Call& call) {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

// Sync() of a directory; 0 also from file systems, some of them on a network,
// that have no such call because a rename is durable at once.
int SyncDirectory(FileSystem& files, int dir);

// "<path>: <doing>: <the system's text for `error`>", with the code that says
// what the caller can do: kNotFound if a part of the path does not exist,
// kInvalidArgument if the path cannot name a (new) file, kOutOfMemory, else
// kIo.
//
// REQUIRES: error is a positive errno.
Status FromErrno(int error, std::string_view path, std::string_view doing);

}  // namespace caisson
