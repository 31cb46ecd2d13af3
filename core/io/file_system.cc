// SPDX-License-Identifier: Apache-2.0
#include "core/io/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <system_error>
#include <utility>

namespace caisson {
namespace {

static_assert(sizeof(off_t) == 8, "files may be larger than 2 GiB");

template <class T>
T OrErrno(T result) {
  return result < 0 ? -static_cast<T>(errno) : result;
}

// The name under which the kernel lets a descriptor be linked without
// CAP_DAC_READ_SEARCH: open(2), O_TMPFILE.
struct DescriptorPath {
  explicit DescriptorPath(int fd) {
    std::snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
  }
  char text[32];
};

class PosixFileSystem final : public FileSystem {
 public:
  int Open(int dir, const char* name, int flags, mode_t mode) override {
    return OrErrno(openat(dir, name, flags, mode));
  }

  int OpenUnnamed(int dir, mode_t mode) override {
    const int fd =
        OrErrno(openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (fd < 0) return fd;
    // Without /proc it could never get a name; better known now than after
    // the last byte.
    if (access(DescriptorPath(fd).text, F_OK) == 0) return fd;
    close(fd);
    return -EOPNOTSUPP;
  }

  int LinkUnnamed(int fd, int dir, const char* name) override {
    return OrErrno(linkat(AT_FDCWD, DescriptorPath(fd).text, dir, name,
                          AT_SYMLINK_FOLLOW));
  }

  int Close(int fd) override { return OrErrno(close(fd)); }

  ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) override {
    return OrErrno(
        pread(fd, dst.data(), dst.size(), static_cast<off_t>(offset)));
  }

  ssize_t Write(int fd, std::span<const std::byte> src,
                uint64_t offset) override {
    return OrErrno(
        pwrite(fd, src.data(), src.size(), static_cast<off_t>(offset)));
  }

  int Sync(int fd) override { return OrErrno(fsync(fd)); }

  int Flush(int fd) override {
    const int copy = OrErrno(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return copy < 0 ? copy : OrErrno(close(copy));
  }

  int Truncate(int fd, uint64_t bytes) override {
    return OrErrno(ftruncate(fd, static_cast<off_t>(bytes)));
  }

  int Allocate(int fd, uint64_t bytes) override {
    return OrErrno(
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)));
  }

  int SetDirect(int fd, bool direct) override {
    const int flags = OrErrno(fcntl(fd, F_GETFL));
    if (flags < 0) return flags;
    const int wanted = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
    return OrErrno(fcntl(fd, F_SETFL, wanted));
  }

  int FreeBytes(int fd, uint64_t* bytes) override {
    struct statvfs found;
    const int error = OrErrno(fstatvfs(fd, &found));
    if (error == 0) *bytes = uint64_t{found.f_bavail} * found.f_frsize;
    return error;
  }

  int DropCache(int fd, uint64_t offset, uint64_t bytes) override {
    return -posix_fadvise(fd, static_cast<off_t>(offset),
                          static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  }

  int Stat(int fd, struct stat* found) override {
    return OrErrno(fstat(fd, found));
  }

  int StatName(int dir, const char* name, struct stat* found) override {
    return OrErrno(fstatat(dir, name, found, AT_SYMLINK_NOFOLLOW));
  }

  int Chmod(int fd, mode_t mode) override { return OrErrno(fchmod(fd, mode)); }

  int Lock(int fd) override { return OrErrno(flock(fd, LOCK_EX | LOCK_NB)); }

  int Rename(int dir, const char* from, const char* to) override {
    return OrErrno(renameat(dir, from, dir, to));
  }

  int Unlink(int dir, const char* name) override {
    return OrErrno(unlinkat(dir, name, 0));
  }

  int Symlink(const char* target, int dir, const char* name) override {
    return OrErrno(symlinkat(target, dir, name));
  }

  int ReadLink(int dir, const char* name, std::string* target) override {
    char found[PATH_MAX];  // no kernel lets a link be longer
    const ssize_t bytes = OrErrno(readlinkat(dir, name, found, sizeof(found)));
    if (bytes < 0) return static_cast<int>(bytes);
    target->assign(found, static_cast<size_t>(bytes));
    return 0;
  }

  int List(int dir, std::vector<std::string>* names) override {
    // A descriptor of its own, because closedir() closes it.
    const int fd =
        OrErrno(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return fd;
    DIR* const stream = fdopendir(fd);
    if (stream == nullptr) {
      const int error = errno;
      close(fd);
      return -error;
    }
    errno = 0;
    while (const dirent* entry = readdir(stream)) {
      names->emplace_back(entry->d_name);
      errno = 0;
    }
    const int error = errno;
    closedir(stream);
    return -error;
  }
};

StatusCode CodeFor(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return StatusCode::kNotFound;
    case EEXIST:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return StatusCode::kInvalidArgument;
    case ENOMEM:
      return StatusCode::kOutOfMemory;
    default:
      return StatusCode::kIo;
  }
}

}  // namespace

FileSystem& FileSystem::Posix() {
  static constinit PosixFileSystem posix;
  return posix;
}

int SyncDirectory(FileSystem& files, int dir) {
  const int error = Uninterrupted([&] { return files.Sync(dir); });
  const bool absent =
      error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP;
  return absent ? 0 : error;
}

Status FromErrno(int error, std::string_view path, std::string_view doing) {
  std::string message(path);
  message.append(": ").append(doing).append(": ");
  message.append(std::generic_category().message(error));
  return Status(CodeFor(error), std::move(message));
}

}  // namespace caisson
