// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem that leaves a hole where a write is nothing but zeros, so that
// a file of many gigabytes takes a few megabytes of disk.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/io/file_system.h"

namespace caisson {

class HoleFileSystem final : public FileSystem {
 public:
  ssize_t Write(int fd, std::span<const std::byte> src,
                uint64_t offset) override {
    // All bytes are equal to the next one, and one is zero.
    const bool zeros = src.empty() || (src[0] == std::byte{0} &&
                                       std::memcmp(src.data(), src.data() + 1,
                                                   src.size() - 1) == 0);
    if (!zeros) return posix_.Write(fd, src, offset);
    struct stat found;
    if (const int error = posix_.Stat(fd, &found); error < 0) return error;
    const uint64_t end = offset + src.size();
    if (static_cast<uint64_t>(found.st_size) < end) {
      if (const int error = posix_.Truncate(fd, end); error < 0) return error;
    }
    return static_cast<ssize_t>(src.size());
  }

  int Open(int dir, const char* name, int flags, mode_t mode) override {
    return posix_.Open(dir, name, flags, mode);
  }
  int OpenUnnamed(int dir, mode_t mode) override {
    return posix_.OpenUnnamed(dir, mode);
  }
  int LinkUnnamed(int fd, int dir, const char* name) override {
    return posix_.LinkUnnamed(fd, dir, name);
  }
  int Close(int fd) override { return posix_.Close(fd); }
  ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) override {
    return posix_.Read(fd, dst, offset);
  }
  int Sync(int fd) override { return posix_.Sync(fd); }
  int Flush(int fd) override { return posix_.Flush(fd); }
  int Truncate(int fd, uint64_t bytes) override {
    return posix_.Truncate(fd, bytes);
  }
  int Allocate(int, uint64_t) override { return -EOPNOTSUPP; }
  int SetDirect(int fd, bool direct) override {
    return posix_.SetDirect(fd, direct);
  }
  int FreeBytes(int fd, uint64_t* bytes) override {
    return posix_.FreeBytes(fd, bytes);
  }
  int DropCache(int fd, uint64_t offset, uint64_t bytes) override {
    return posix_.DropCache(fd, offset, bytes);
  }
  int Stat(int fd, struct stat* found) override {
    return posix_.Stat(fd, found);
  }
  int StatName(int dir, const char* name, struct stat* found) override {
    return posix_.StatName(dir, name, found);
  }
  int Chmod(int fd, mode_t mode) override { return posix_.Chmod(fd, mode); }
  int Lock(int fd) override { return posix_.Lock(fd); }
  int Rename(int dir, const char* from, const char* to) override {
    return posix_.Rename(dir, from, to);
  }
  int Unlink(int dir, const char* name) override {
    return posix_.Unlink(dir, name);
  }
  int Symlink(const char* target, int dir, const char* name) override {
    return posix_.Symlink(target, dir, name);
  }
  int ReadLink(int dir, const char* name, std::string* target) override {
    return posix_.ReadLink(dir, name, target);
  }
  int List(int dir, std::vector<std::string>* names) override {
    return posix_.List(dir, names);
  }

 private:
  FileSystem& posix_ = FileSystem::Posix();
};

}  // namespace caisson
