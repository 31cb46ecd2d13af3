// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_file_system.h"

#include <csignal>

namespace caisson {

Fault FaultFileSystem::Next(const char* name) {
  if (!Counts(name)) return Fault::kNone;
  if (plan_.fault == Fault::kKill) raise(SIGKILL);
  if (plan_.fault == Fault::kRace) plan_.race();
  return plan_.fault;
}

// Notes the operation; true if the plan is for it.
bool FaultFileSystem::Counts(const char* name) {
  const std::lock_guard hold(lock_);
  log_.push_back(name);
  if (!plan_.only.empty() && plan_.only != name) return false;
  const int n = count_++;
  if (n < plan_.at || (n > plan_.at && !plan_.and_after)) return false;
  fired_ = true;
  return true;
}

template <class Call>
int FaultFileSystem::Do(const char* name, const Call& call) {
  const Fault fault = Next(name);
  if (fault == Fault::kError) return -plan_.error;
  const int result = call();
  return fault == Fault::kErrorAfter ? -plan_.error : result;
}

template <class Call>
int FaultFileSystem::DoOpen(const char* name, const Call& call) {
  int fd = -1;
  const int result = Do(name, [&] { return fd = call(); });
  if (result < 0 && fd >= 0) posix_.Close(fd);
  return result;
}

template <class Bytes, class Call>
ssize_t FaultFileSystem::Transfer(const char* name, Bytes bytes,
                                  const Call& call) {
  const Fault fault = Next(name);
  if (fault == Fault::kError) return -plan_.error;
  if (fault == Fault::kNothing) return 0;
  if (fault == Fault::kShort) bytes = bytes.first((bytes.size() + 1) / 2);
  const ssize_t result = call(bytes);
  return fault == Fault::kErrorAfter ? -plan_.error : result;
}

int FaultFileSystem::Open(int dir, const char* name, int flags, mode_t mode) {
  return DoOpen("open", [&] { return posix_.Open(dir, name, flags, mode); });
}

int FaultFileSystem::OpenUnnamed(int dir, mode_t mode) {
  if (plan_.no_unnamed) return -EOPNOTSUPP;
  return DoOpen("open unnamed", [&] { return posix_.OpenUnnamed(dir, mode); });
}

int FaultFileSystem::LinkUnnamed(int fd, int dir, const char* name) {
  return Do("link", [&] { return posix_.LinkUnnamed(fd, dir, name); });
}

int FaultFileSystem::Close(int fd) {
  // Releases the descriptor whatever it answers, as the system does.
  const int closed = posix_.Close(fd);
  return Do("close", [&] { return closed; });
}

ssize_t FaultFileSystem::Read(int fd, std::span<std::byte> dst,
                              uint64_t offset) {
  return Transfer("read", dst, [&](std::span<std::byte> part) {
    return posix_.Read(fd, part, offset);
  });
}

ssize_t FaultFileSystem::Write(int fd, std::span<const std::byte> src,
                               uint64_t offset) {
  return Transfer("write", src, [&](std::span<const std::byte> part) {
    return posix_.Write(fd, part, offset);
  });
}

int FaultFileSystem::Sync(int fd) {
  return Do("sync", [&] { return plan_.skip_sync ? 0 : posix_.Sync(fd); });
}

int FaultFileSystem::Flush(int fd) {
  return Do("flush", [&] { return posix_.Flush(fd); });
}

int FaultFileSystem::Truncate(int fd, uint64_t bytes) {
  return Do("truncate", [&] { return posix_.Truncate(fd, bytes); });
}

int FaultFileSystem::Allocate(int fd, uint64_t bytes) {
  if (plan_.no_reserve) return -EOPNOTSUPP;
  return Do("allocate", [&] { return posix_.Allocate(fd, bytes); });
}

int FaultFileSystem::SetDirect(int fd, bool direct) {
  return Do("set direct", [&] { return posix_.SetDirect(fd, direct); });
}

int FaultFileSystem::FreeBytes(int fd, uint64_t* bytes) {
  if (plan_.no_reserve) return -ENOSYS;
  return Do("free bytes", [&] { return posix_.FreeBytes(fd, bytes); });
}

int FaultFileSystem::DropCache(int fd, uint64_t offset, uint64_t bytes) {
  return posix_.DropCache(fd, offset, bytes);
}

int FaultFileSystem::Stat(int fd, struct stat* found) {
  return Do("stat", [&] { return posix_.Stat(fd, found); });
}

int FaultFileSystem::StatName(int dir, const char* name, struct stat* found) {
  return Do("stat name", [&] { return posix_.StatName(dir, name, found); });
}

int FaultFileSystem::Chmod(int fd, mode_t mode) {
  return Do("chmod", [&] { return posix_.Chmod(fd, mode); });
}

int FaultFileSystem::Lock(int fd) {
  return Do("lock", [&] { return posix_.Lock(fd); });
}

int FaultFileSystem::Rename(int dir, const char* from, const char* to) {
  return Do("rename", [&] { return posix_.Rename(dir, from, to); });
}

int FaultFileSystem::Unlink(int dir, const char* name) {
  return Do("unlink", [&] { return posix_.Unlink(dir, name); });
}

int FaultFileSystem::Symlink(const char* target, int dir, const char* name) {
  if (plan_.no_symlinks) return -EPERM;
  return Do("symlink", [&] { return posix_.Symlink(target, dir, name); });
}

int FaultFileSystem::ReadLink(int dir, const char* name, std::string* target) {
  return Do("read link", [&] { return posix_.ReadLink(dir, name, target); });
}

int FaultFileSystem::List(int dir, std::vector<std::string>* names) {
  return Do("list", [&] { return posix_.List(dir, names); });
}

}  // namespace caisson
