// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem that does what this machine's does, until the n-th operation:
// that one fails, transfers half, loses a race, or kills the process.
#pragma once

#include <csignal>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/io/file_system.h"
#include "tests/support/fault_plan.h"

namespace caisson {

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FaultPlan plan = {}) : plan_(std::move(plan)) {}

  // True once the plan came to pass.
  bool fired() const {
    const std::lock_guard hold(lock_);
    return fired_;
  }

  // Every operation so far, by name.
  std::vector<std::string> log() const {
    const std::lock_guard hold(lock_);
    return log_;
  }

  int Open(int dir, const char* name, int flags, mode_t mode) override {
    return DoOpen("open", [&] { return posix_.Open(dir, name, flags, mode); });
  }
  int OpenUnnamed(int dir, mode_t mode) override {
    if (plan_.no_unnamed) return -EOPNOTSUPP;
    return DoOpen("open unnamed",
                  [&] { return posix_.OpenUnnamed(dir, mode); });
  }
  int LinkUnnamed(int fd, int dir, const char* name) override {
    return Do("link", [&] { return posix_.LinkUnnamed(fd, dir, name); });
  }
  int Close(int fd) override {
    // Releases the descriptor whatever it answers, as the system does.
    const int closed = posix_.Close(fd);
    return Do("close", [&] { return closed; });
  }
  ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) override {
    return Transfer("read", dst, [&](std::span<std::byte> part) {
      return posix_.Read(fd, part, offset);
    });
  }
  ssize_t Write(int fd, std::span<const std::byte> src,
                uint64_t offset) override {
    return Transfer("write", src, [&](std::span<const std::byte> part) {
      return posix_.Write(fd, part, offset);
    });
  }
  int Sync(int fd) override {
    return Do("sync", [&] { return plan_.skip_sync ? 0 : posix_.Sync(fd); });
  }
  int Flush(int fd) override {
    return Do("flush", [&] { return posix_.Flush(fd); });
  }
  int Truncate(int fd, uint64_t bytes) override {
    return Do("truncate", [&] { return posix_.Truncate(fd, bytes); });
  }
  int Allocate(int fd, uint64_t bytes) override {
    if (plan_.no_reserve) return -EOPNOTSUPP;
    return Do("allocate", [&] { return posix_.Allocate(fd, bytes); });
  }
  int SetDirect(int fd, bool direct) override {
    return Do("set direct", [&] { return posix_.SetDirect(fd, direct); });
  }
  int FreeBytes(int fd, uint64_t* bytes) override {
    if (plan_.no_reserve) return -ENOSYS;
    return Do("free bytes", [&] { return posix_.FreeBytes(fd, bytes); });
  }
  int DropCache(int fd, uint64_t offset, uint64_t bytes) override {
    return posix_.DropCache(fd, offset, bytes);
  }
  int Stat(int fd, struct stat* found) override {
    return Do("stat", [&] { return posix_.Stat(fd, found); });
  }
  int StatName(int dir, const char* name, struct stat* found) override {
    return Do("stat name", [&] { return posix_.StatName(dir, name, found); });
  }
  int Chmod(int fd, mode_t mode) override {
    return Do("chmod", [&] { return posix_.Chmod(fd, mode); });
  }
  int Lock(int fd) override {
    return Do("lock", [&] { return posix_.Lock(fd); });
  }
  int Rename(int dir, const char* from, const char* to) override {
    return Do("rename", [&] { return posix_.Rename(dir, from, to); });
  }
  int Unlink(int dir, const char* name) override {
    return Do("unlink", [&] { return posix_.Unlink(dir, name); });
  }
  int Symlink(const char* target, int dir, const char* name) override {
    if (plan_.no_symlinks) return -EPERM;
    return Do("symlink", [&] { return posix_.Symlink(target, dir, name); });
  }
  int ReadLink(int dir, const char* name, std::string* target) override {
    return Do("read link", [&] { return posix_.ReadLink(dir, name, target); });
  }
  int List(int dir, std::vector<std::string>* names) override {
    return Do("list", [&] { return posix_.List(dir, names); });
  }

 private:
  // What happens to the operation that comes now.
  Fault Next(const char* name) {
    if (!Counts(name)) return Fault::kNone;
    if (plan_.fault == Fault::kKill) raise(SIGKILL);
    if (plan_.fault == Fault::kRace) plan_.race();
    return plan_.fault;
  }

  // Notes the operation; true if the plan is for it.
  bool Counts(const char* name) {
    const std::lock_guard hold(lock_);
    log_.push_back(name);
    if (!plan_.only.empty() && plan_.only != name) return false;
    const int n = count_++;
    if (n < plan_.at || (n > plan_.at && !plan_.and_after)) return false;
    fired_ = true;
    return true;
  }

  template <class Call>
  int Do(const char* name, const Call& call) {
    const Fault fault = Next(name);
    if (fault == Fault::kError) return -plan_.error;
    const int result = call();
    return fault == Fault::kErrorAfter ? -plan_.error : result;
  }

  template <class Call>
  int DoOpen(const char* name, const Call& call) {
    int fd = -1;
    const int result = Do(name, [&] { return fd = call(); });
    if (result < 0 && fd >= 0) posix_.Close(fd);
    return result;
  }

  template <class Bytes, class Call>
  ssize_t Transfer(const char* name, Bytes bytes, const Call& call) {
    const Fault fault = Next(name);
    if (fault == Fault::kError) return -plan_.error;
    if (fault == Fault::kNothing) return 0;
    if (fault == Fault::kShort) bytes = bytes.first((bytes.size() + 1) / 2);
    const ssize_t result = call(bytes);
    return fault == Fault::kErrorAfter ? -plan_.error : result;
  }

  FileSystem& posix_ = FileSystem::Posix();
  const FaultPlan plan_;
  mutable std::mutex lock_;
  std::vector<std::string> log_;  // guarded by lock_
  int count_ = 0;                 // guarded by lock_
  bool fired_ = false;            // guarded by lock_
};

}  // namespace caisson
