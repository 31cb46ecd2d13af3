// SPDX-License-Identifier: Apache-2.0
//
// The temporary has no name where the kernel allows that (O_TMPFILE), so that
// a crash leaves nothing; it gets one just before the rename, because a link
// cannot replace an existing file. Elsewhere it has a name from the start. A
// named temporary is held under flock: that is how another process knows it
// from one that a crash left behind.
#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/io/temporary.h"

namespace caisson {
namespace {

// The kernel's own limit: path_resolution(7).
constexpr int kMaxLinks = 40;

// Tries at a free name. Another process must take each between our choice and
// our call, so the second is rare.
constexpr int kMaxNames = 100;

struct Location {
  std::string directory;
  std::string name;
};

// Follows symbolic links in the last part of `path`; the kernel follows the
// others. A link that leads nowhere names the file to create.
Result<Location> Locate(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Status::InvalidArgument(
        "create: the path is empty or contains a zero byte");
  }
  std::filesystem::path current(path);
  for (int links = 0; links <= kMaxLinks; ++links) {
    std::error_code none;  // set when `current` is no link
    const auto next = std::filesystem::read_symlink(current, none);
    if (none) {
      if (!current.has_filename()) return FromErrno(EISDIR, path, "create");
      const auto parent = current.parent_path();
      return Location{parent.empty() ? "." : parent.string(),
                      current.filename().string()};
    }
    current = current.parent_path() / next;
  }
  return FromErrno(ELOOP, path, "create");
}

struct Existing {
  bool found;
  mode_t mode;  // permission bits
};

// Looks at what would be replaced; a rename would replace a device as well.
Result<Existing> LookAt(FileSystem& files, int dir, const std::string& name,
                        const std::string& path) {
  struct stat found;
  const int error =
      Uninterrupted([&] { return files.StatName(dir, name.c_str(), &found); });
  if (error == -ENOENT) return Existing{false, 0666};
  if (error < 0) return FromErrno(-error, path, "stat");
  if (S_ISDIR(found.st_mode)) return FromErrno(EISDIR, path, "create");
  if (!S_ISREG(found.st_mode)) {
    return Status::InvalidArgument(
        path +
        ": create: expected a regular file to replace, found another "
        "kind of file");
  }
  return Existing{true, found.st_mode & 0777};
}

}  // namespace

AtomicFile::AtomicFile(FileSystem& files, File directory, File file,
                       std::string target, bool sync)
    : files_(&files),
      directory_(std::move(directory)),
      file_(std::move(file)),
      target_(std::move(target)),
      sync_(sync) {}

Result<AtomicFile> AtomicFile::Create(const std::string& path,
                                      const AtomicFileOptions& options,
                                      FileSystem& files) {
  CAISSON_ASSIGN_OR_RETURN(Location location, Locate(path));
  const int dir = Uninterrupted([&] {
    return files.Open(AT_FDCWD, location.directory.c_str(),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  });
  if (dir < 0) {
    return FromErrno(-dir, path, "open directory " + location.directory);
  }
  File directory(dir, location.directory, files);
  CAISSON_ASSIGN_OR_RETURN(const Existing existing,
                           LookAt(files, dir, location.name, path));
  RemoveLeftovers(files, dir, location.name);

  AtomicFile result(files, std::move(directory), File(-1, path, files),
                    std::move(location.name), options.sync);
  CAISSON_RETURN_IF_ERROR(result.OpenTemporary(existing.mode, existing.found));
  return result;
}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this != &other) {
    Abandon();
    files_ = other.files_;
    directory_ = std::move(other.directory_);
    file_ = std::move(other.file_);
    target_ = std::move(other.target_);
    temporary_ = std::move(other.temporary_);
    sync_ = other.sync_;
    replaced_ = std::move(other.replaced_);
  }
  return *this;
}

Status AtomicFile::OpenTemporary(mode_t mode, bool keep_mode) {
  const int fd =
      Uninterrupted([&] { return files_->OpenUnnamed(directory_.fd(), mode); });
  if (fd >= 0) {
    file_ = File(fd, file_.path(), *files_);
    // Nobody else can reach it yet. Without locks on this file system it
    // stays unlocked; then leftovers are never removed either.
    static_cast<void>(Uninterrupted([&] { return files_->Lock(fd); }));
  } else {
    // Whatever the reason: if it is not O_TMPFILE, this will meet it again.
    CAISSON_RETURN_IF_ERROR(OpenNamed(mode));
  }
  if (!keep_mode) return Status::Ok();

  struct stat found;
  const int error =
      Uninterrupted([&] { return files_->Stat(file_.fd(), &found); });
  if (error < 0) return FromErrno(-error, file_.path(), "stat");
  // Only if needed: some network file systems refuse every chmod.
  if ((found.st_mode & 0777) == mode) return Status::Ok();
  const int refused =
      Uninterrupted([&] { return files_->Chmod(file_.fd(), mode); });
  if (refused < 0) {
    return FromErrno(-refused, file_.path(), "keep the permissions");
  }
  return Status::Ok();
}

Status AtomicFile::OpenNamed(mode_t mode) {
  for (int names = 0; names < kMaxNames; ++names) {
    std::string name = TemporaryName(target_);
    const int fd = Uninterrupted([&] {
      return files_->Open(directory_.fd(), name.c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    });
    if (fd == -EEXIST) continue;
    if (fd < 0) {
      return FromErrno(-fd, file_.path(),
                       "create a temporary in " + directory_.path());
    }
    File file(fd, file_.path(), *files_);
    // Between these two calls it looks like a leftover, and somebody may be
    // removing it: then the lock is taken, or the file has no name any more.
    const int locked = Uninterrupted([&] { return files_->Lock(fd); });
    if (locked == -EWOULDBLOCK) continue;
    struct stat found;
    const int error = Uninterrupted([&] { return files_->Stat(fd, &found); });
    if (error == 0 && found.st_nlink == 0) continue;
    file_ = std::move(file);
    temporary_ = std::move(name);
    if (error < 0) return FromErrno(-error, file_.path(), "stat");
    return Status::Ok();
  }
  return Status::Io(file_.path() + ": create a temporary in " +
                    directory_.path() + ": no free name found");
}

Status AtomicFile::Link() {
  for (int names = 0; names < kMaxNames; ++names) {
    // Set before the call: a network file system may do it and report an
    // error, and then Abandon() removes it.
    temporary_ = TemporaryName(target_);
    const int error = Uninterrupted([&] {
      return files_->LinkUnnamed(file_.fd(), directory_.fd(),
                                 temporary_.c_str());
    });
    if (error == 0) return Status::Ok();
    if (error != -EEXIST) {
      return FromErrno(-error, file_.path(),
                       "name the temporary in " + directory_.path());
    }
    temporary_.clear();  // somebody else's
  }
  return Status::Io(file_.path() + ": name the temporary in " +
                    directory_.path() + ": no free name found");
}

Status AtomicFile::Publish() {
  // Every error about the content must come before the old file goes.
  CAISSON_RETURN_IF_ERROR(sync_ ? file_.Sync() : file_.Flush());
  if (temporary_.empty()) CAISSON_RETURN_IF_ERROR(Link());
  HoldReplaced();
  const int error = Uninterrupted([&] {
    return files_->Rename(directory_.fd(), temporary_.c_str(), target_.c_str());
  });
  if (error < 0) {
    return FromErrno(-error, file_.path(), "replace by the temporary");
  }
  temporary_.clear();
  return sync_ ? SyncDirectory() : Status::Ok();
}

// So that the rename need not wait until the blocks of the old file are free.
void AtomicFile::HoldReplaced() {
  const int fd = Uninterrupted([&] {
    return files_->Open(directory_.fd(), target_.c_str(),
                        O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  });
  if (fd >= 0) replaced_ = File(fd, file_.path(), *files_);
}

Status AtomicFile::SyncDirectory() {
  const int error = caisson::SyncDirectory(*files_, directory_.fd());
  if (error == 0) return Status::Ok();
  return FromErrno(-error, file_.path(),
                   "the new file is in place, but a power cut may still undo "
                   "that: sync directory " +
                       directory_.path());
}

Status AtomicFile::Commit() {
  if (!file_.is_open()) {
    return Status::InvalidArgument(file_.path() +
                                   ": commit: already committed or abandoned");
  }
  const Status status = Publish();
  Abandon();
  return status;
}

void AtomicFile::Abandon() {
  // Unlinks under the lock, so that nobody else takes it for a leftover.
  if (!temporary_.empty() && directory_.is_open()) {
    Uninterrupted(
        [&] { return files_->Unlink(directory_.fd(), temporary_.c_str()); });
    temporary_.clear();
  }
  file_ = File(-1, file_.path(), *files_);
  directory_ = File(-1, directory_.path(), *files_);
}

}  // namespace caisson
