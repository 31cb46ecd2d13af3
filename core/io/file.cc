// SPDX-License-Identifier: Apache-2.0
#include "core/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/io/transfer.h"

namespace caisson {
namespace {

std::string At(const char* doing, uint64_t offset) {
  return std::string(doing) + " at " + std::to_string(offset);
}

const char* KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

Result<File> File::OpenForRead(const std::string& path, FileSystem& files) {
  if (path.find('\0') != std::string::npos) {
    return Status::InvalidArgument("open: the path contains a zero byte");
  }
  // O_NONBLOCK only so that a pipe does not wait for a writer.
  const int fd = Uninterrupted([&] {
    return files.Open(AT_FDCWD, path.c_str(),
                      O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
  });
  if (fd < 0) return FromErrno(-fd, path, "open");
  File file(fd, path, files);
  struct stat found;
  const int error = Uninterrupted([&] { return files.Stat(fd, &found); });
  if (error < 0) return FromErrno(-error, path, "stat");
  if (!S_ISREG(found.st_mode)) {
    return Status::InvalidArgument(path + ": open: expected a regular file, " +
                                   "found " + KindOf(found.st_mode));
  }
  fcntl(fd, F_SETFL, 0);  // it did its work; io_uring gives it another meaning
  return file;
}

Result<File> File::CreateExclusive(const std::string& path, mode_t mode,
                                   FileSystem& files) {
  if (path.find('\0') != std::string::npos) {
    return Status::InvalidArgument("create: the path contains a zero byte");
  }
  const int fd = Uninterrupted([&] {
    return files.Open(AT_FDCWD, path.c_str(),
                      O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  });
  if (fd < 0) return FromErrno(-fd, path, "create");
  return File(fd, path, files);
}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (is_open()) files_->Close(fd_);
    files_ = other.files_;
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

File::~File() {
  if (is_open()) files_->Close(fd_);
}

Result<size_t> ReadUpTo(FileSystem& files, int fd, const std::string& path,
                        uint64_t offset, std::span<std::byte> dst) {
  if (offset >= kMaxExtent) return size_t{0};
  dst = dst.first(std::min<uint64_t>(dst.size(), kMaxExtent - offset));
  size_t done = 0;
  while (done < dst.size()) {
    const ssize_t got = files.Read(fd, dst.subspan(done), offset + done);
    if (got == -EINTR) continue;
    if (got < 0) {
      return FromErrno(static_cast<int>(-got), path,
                       TransferText("read", offset, dst.size(), done));
    }
    if (got == 0) break;  // the end
    done += static_cast<size_t>(got);
  }
  return done;
}

Result<size_t> File::ReadUpTo(uint64_t offset, std::span<std::byte> dst) const {
  return caisson::ReadUpTo(*files_, fd_, path_, offset, dst);
}

Status File::ReadAt(uint64_t offset, std::span<std::byte> dst) const {
  CAISSON_ASSIGN_OR_RETURN(const size_t done, ReadUpTo(offset, dst));
  if (done == dst.size()) return Status::Ok();
  return Status::Io(path_ + ": " +
                    TransferText("read", offset, dst.size(), done) +
                    ": the file ended");
}

Status File::WriteAt(uint64_t offset, std::span<const std::byte> src) {
  if (!FitsWithin(offset, src.size(), kMaxExtent)) {
    return BeyondAnyFile(path_, "write", offset, src.size());
  }
  size_t done = 0;
  while (done < src.size()) {
    const ssize_t put = files_->Write(fd_, src.subspan(done), offset + done);
    if (put == -EINTR) continue;
    if (put <= 0) {
      // Nothing written and no reason given would repeat forever.
      return FromErrno(put == 0 ? EIO : static_cast<int>(-put), path_,
                       TransferText("write", offset, src.size(), done));
    }
    done += static_cast<size_t>(put);
  }
  return Status::Ok();
}

Result<uint64_t> File::Size() const {
  struct stat found;
  const int error = Uninterrupted([&] { return files_->Stat(fd_, &found); });
  if (error < 0) return FromErrno(-error, path_, "stat");
  return static_cast<uint64_t>(found.st_size);
}

Status File::Truncate(uint64_t bytes) {
  if (bytes > kMaxExtent) {
    return Status::InvalidArgument(path_ + ": " + At("truncate", bytes) +
                                   ": no file can be so large");
  }
  const int error = Uninterrupted([&] { return files_->Truncate(fd_, bytes); });
  if (error < 0) return FromErrno(-error, path_, At("truncate", bytes));
  return Status::Ok();
}

Result<bool> File::Allocate(uint64_t bytes) {
  if (bytes == 0) return true;
  if (bytes > kMaxExtent) {
    return BeyondAnyFile(path_, "allocate", 0, bytes);
  }
  const int error = Uninterrupted([&] { return files_->Allocate(fd_, bytes); });
  if (error == -EOPNOTSUPP || error == -ENOSYS) return false;
  if (error < 0) {
    return FromErrno(
        -error, path_,
        At("allocate", 0) + ": needed " + std::to_string(bytes) + " bytes");
  }
  return true;
}

bool File::SetDirect(bool direct) {
  return Uninterrupted([&] { return files_->SetDirect(fd_, direct); }) == 0;
}

std::optional<uint64_t> File::FreeBytes() const {
  uint64_t bytes = 0;
  const int error =
      Uninterrupted([&] { return files_->FreeBytes(fd_, &bytes); });
  if (error < 0) return std::nullopt;
  return bytes;
}

void File::DropCache(uint64_t offset, uint64_t bytes) const {
  files_->DropCache(fd_, offset, bytes);
}

Status File::Sync() {
  const int error = Uninterrupted([&] { return files_->Sync(fd_); });
  if (error < 0) return FromErrno(-error, path_, "sync");
  return Status::Ok();
}

Status File::Flush() {
  const int error = files_->Flush(fd_);
  if (error < 0 && error != -EINTR) return FromErrno(-error, path_, "flush");
  return Status::Ok();
}

Status File::Close() {
  // Linux has released the descriptor even after EINTR, so no second attempt.
  const int error = files_->Close(Release());
  if (error < 0 && error != -EINTR) return FromErrno(-error, path_, "close");
  return Status::Ok();
}

}  // namespace caisson
