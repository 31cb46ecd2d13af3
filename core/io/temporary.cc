// SPDX-License-Identifier: Apache-2.0
#include "core/io/temporary.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace caisson {
namespace {

constexpr std::string_view kSuffix = ".tmp";

// NAME_MAX is 255 bytes; two dots, two numbers of up to 20 digits, a dash and
// the suffix take 47.
constexpr size_t kMaxStem = 200;

// The start of `target`, never a part of a UTF-8 character.
std::string_view Stem(std::string_view target) {
  if (target.size() <= kMaxStem) return target;
  size_t end = kMaxStem;
  while (end > 0 && (target[end] & 0xC0) == 0x80) --end;
  return target.substr(0, end);
}

std::string Prefix(std::string_view target) {
  return std::string(".").append(Stem(target)).append(".");
}

// Removes the digits at the front; false if there is none.
bool SkipNumber(std::string_view* text) {
  const auto digits = std::find_if_not(
      text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; });
  const auto count = static_cast<size_t>(digits - text->begin());
  text->remove_prefix(count);
  return count > 0;
}

int OpenToLock(FileSystem& files, int dir, const char* name) {
  constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const auto open = [&](int access) {
    return Uninterrupted(
        [&] { return files.Open(dir, name, access | kFlags, 0); });
  };
  // NFS locks only what is open for writing; a temporary has the permissions
  // of its target, which may forbid that.
  const int fd = open(O_RDWR);
  return fd == -EACCES ? open(O_RDONLY) : fd;
}

void RemoveIfUnlocked(FileSystem& files, int dir, const char* name) {
  const int fd = OpenToLock(files, dir, name);
  if (fd < 0) return;
  struct stat opened;
  struct stat named;
  // Only an answer of 0 proves that nobody writes it: a file system without
  // locks keeps its leftovers. The last check is for an owner that renamed it
  // away and let go of the lock since we opened it.
  if (Uninterrupted([&] { return files.Stat(fd, &opened); }) == 0 &&
      S_ISREG(opened.st_mode) &&
      Uninterrupted([&] { return files.Lock(fd); }) == 0 &&
      Uninterrupted([&] { return files.StatName(dir, name, &named); }) == 0 &&
      named.st_ino == opened.st_ino) {
    Uninterrupted([&] { return files.Unlink(dir, name); });
  }
  files.Close(fd);
}

}  // namespace

std::string TemporaryName(std::string_view target) {
  static std::atomic<uint64_t> next{0};
  std::string name = Prefix(target) + std::to_string(getpid());
  name.append("-").append(std::to_string(next.fetch_add(1)));
  return name.append(kSuffix);
}

bool IsTemporaryOf(std::string_view target, std::string_view name) {
  const std::string prefix = Prefix(target);
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  if (!SkipNumber(&name) || !name.starts_with('-')) return false;
  name.remove_prefix(1);
  return SkipNumber(&name) && name == kSuffix;
}

void RemoveLeftovers(FileSystem& files, int dir, std::string_view target) {
  std::vector<std::string> names;
  if (Uninterrupted([&] { return files.List(dir, &names); }) < 0) return;
  for (const std::string& name : names) {
    if (IsTemporaryOf(target, name)) RemoveIfUnlocked(files, dir, name.c_str());
  }
}

}  // namespace caisson
