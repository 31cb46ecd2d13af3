// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem that does what this machine's does, until the n-th operation:
// that one fails, transfers half, loses a race, or kills the process.
#pragma once

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

  // Counts an operation that goes past this class, such as a transfer that the
  // kernel was handed. Returns what shall happen to it; kills the process if
  // that is it.
  Fault Next(const char* name);

  // What failed operations report.
  int error() const { return plan_.error; }

  int Open(int dir, const char* name, int flags, mode_t mode) override;
  int OpenUnnamed(int dir, mode_t mode) override;
  int LinkUnnamed(int fd, int dir, const char* name) override;
  int Close(int fd) override;
  ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) override;
  ssize_t Write(int fd, std::span<const std::byte> src,
                uint64_t offset) override;
  int Sync(int fd) override;
  int Flush(int fd) override;
  int Truncate(int fd, uint64_t bytes) override;
  int Allocate(int fd, uint64_t bytes) override;
  int SetDirect(int fd, bool direct) override;
  int FreeBytes(int fd, uint64_t* bytes) override;
  int DropCache(int fd, uint64_t offset, uint64_t bytes) override;
  int Stat(int fd, struct stat* found) override;
  int StatName(int dir, const char* name, struct stat* found) override;
  int Chmod(int fd, mode_t mode) override;
  int Lock(int fd) override;
  int Rename(int dir, const char* from, const char* to) override;
  int Unlink(int dir, const char* name) override;
  int Symlink(const char* target, int dir, const char* name) override;
  int ReadLink(int dir, const char* name, std::string* target) override;
  int List(int dir, std::vector<std::string>* names) override;

 private:
  bool Counts(const char* name);

  template <class Call>
  int Do(const char* name, const Call& call);
  template <class Call>
  int DoOpen(const char* name, const Call& call);
  template <class Bytes, class Call>
  ssize_t Transfer(const char* name, Bytes bytes, const Call& call);

  FileSystem& posix_ = FileSystem::Posix();
  const FaultPlan plan_;
  mutable std::mutex lock_;
  std::vector<std::string> log_;  // guarded by lock_
  int count_ = 0;                 // guarded by lock_
  bool fired_ = false;            // guarded by lock_
};

}  // namespace caisson
