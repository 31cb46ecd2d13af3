// SPDX-License-Identifier: Apache-2.0
//
// The order of Commit() is what makes it safe: the checkpoint is durable before
// the pointer leads to it, and the pointer is durable before a file goes that
// it may have led to. A pointer is made under a temporary's name and renamed
// over the old one, so that there is one at every moment. A symbolic link
// cannot be synced; it becomes durable with the directory that holds it.
#include "caisson/rotation.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/engine/rotation/rotation_impl.h"
#include "core/engine/rotation/rotation_names.h"
#include "core/io/file.h"
#include "core/io/temporary.h"

namespace caisson {
namespace {

constexpr int kReadFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

// No pointer that is a text file is longer; names are.
constexpr size_t kMaxPointer = 256;

// What a system says that has no symbolic links.
bool MeansNoLinks(int error) {
  return error == EPERM || error == ENOSYS || error == EOPNOTSUPP;
}

Status CheckWhole(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(const VerifyReport report, VerifyFile(path));
  if (report.ok()) return Status::Ok();
  const Damage& first = report.damage.front();
  const std::string where =
      first.record.empty() ? "" : "record '" + first.record + "': ";
  return Status::Corrupt(path + ": " + where + first.problem);
}

}  // namespace

// One call, with the directory open.
class Rotation::Work {
 public:
  static Result<Work> Begin(const Rotation& rotation) {
    FileSystem& files = *rotation.files_;
    const std::string& path = rotation.directory_;
    if (path.find('\0') != std::string::npos) {
      return Status::InvalidArgument("rotation: the path contains a zero byte");
    }
    const int fd = Uninterrupted([&] {
      return files.Open(AT_FDCWD, path.c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    });
    if (fd < 0) return FromErrno(-fd, path, "open directory");
    return Work(rotation, File(fd, path, files));
  }

  Status MakeDurable(const std::string& name);
  Status MovePointer(const std::string& name);
  Status Tidy(uint64_t step);

  // The step that the pointer leads to; none if it is missing or leads to no
  // checkpoint.
  Result<std::optional<uint64_t>> Pointed();

  Result<std::vector<Checkpoint>> Checkpoints();

 private:
  enum class Kind { kMissing, kLink, kText, kForeign };
  struct Pointer {
    Kind kind;
    std::string name;
  };

  Work(const Rotation& rotation, File directory)
      : files_(*rotation.files_),
        options_(rotation.options_),
        directory_(std::move(directory)) {}

  int dir() const { return directory_.fd(); }
  std::string PathOf(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  Result<Pointer> ReadPointer();
  Result<Pointer> ReadText();
  Status WritePointer(const std::string& temporary, const std::string& name);
  Result<bool> IsRegular(const std::string& name);
  Result<std::vector<std::string>> Names();
  Status Unlink(const std::string& name);

  FileSystem& files_;
  const RotationOptions& options_;
  File directory_;
};

Status Rotation::Work::MakeDurable(const std::string& name) {
  const std::string path = PathOf(name);
  const int fd = Uninterrupted(
      [&] { return files_.Open(dir(), name.c_str(), kReadFlags, 0); });
  if (fd < 0) return FromErrno(-fd, path, "open the checkpoint");
  File file(fd, path, files_);
  struct stat found;
  const int error = Uninterrupted([&] { return files_.Stat(fd, &found); });
  if (error < 0) return FromErrno(-error, path, "stat");
  if (!S_ISREG(found.st_mode)) {
    return Status::InvalidArgument(
        path + ": commit: expected a regular file, found another kind of file");
  }
  CAISSON_RETURN_IF_ERROR(file.Sync());
  const int refused = SyncDirectory(files_, dir());
  if (refused < 0) {
    return FromErrno(-refused, path, "sync directory " + directory_.path());
  }
  return Status::Ok();
}

Result<Rotation::Work::Pointer> Rotation::Work::ReadPointer() {
  std::string target;
  const int error = Uninterrupted(
      [&] { return files_.ReadLink(dir(), options_.latest.c_str(), &target); });
  if (error == 0) return Pointer{Kind::kLink, std::move(target)};
  if (error == -ENOENT) return Pointer{Kind::kMissing, ""};
  if (error == -EINVAL || MeansNoLinks(-error)) return ReadText();
  return FromErrno(-error, PathOf(options_.latest), "read the link");
}

Result<Rotation::Work::Pointer> Rotation::Work::ReadText() {
  CAISSON_ASSIGN_OR_RETURN(const bool regular, IsRegular(options_.latest));
  if (!regular) return Pointer{Kind::kForeign, ""};
  const std::string path = PathOf(options_.latest);
  const int fd = Uninterrupted([&] {
    return files_.Open(dir(), options_.latest.c_str(), kReadFlags, 0);
  });
  if (fd < 0) return FromErrno(-fd, path, "open the pointer");
  const File file(fd, path, files_);
  std::array<char, kMaxPointer> text;
  CAISSON_ASSIGN_OR_RETURN(
      const size_t bytes,
      file.ReadUpTo(0, std::as_writable_bytes(std::span(text))));
  std::string name(text.data(), bytes);
  if (!name.ends_with('\n')) return Pointer{Kind::kForeign, ""};
  name.pop_back();
  if (!StepOf(options_, name)) return Pointer{Kind::kForeign, ""};
  return Pointer{Kind::kText, std::move(name)};
}

Result<std::optional<uint64_t>> Rotation::Work::Pointed() {
  CAISSON_ASSIGN_OR_RETURN(const Pointer pointer, ReadPointer());
  const auto step = StepOf(options_, pointer.name);
  if (!step) return std::optional<uint64_t>();
  CAISSON_ASSIGN_OR_RETURN(const bool there, IsRegular(pointer.name));
  return there ? step : std::nullopt;
}

Status Rotation::Work::MovePointer(const std::string& name) {
  const std::string path = PathOf(options_.latest);
  CAISSON_ASSIGN_OR_RETURN(const Pointer old, ReadPointer());
  if (old.kind == Kind::kForeign) {
    return Status::InvalidArgument(
        path + ": expected a symbolic link, or a text file with the name of " +
        "a checkpoint, found a file of somebody else; rename or remove it");
  }
  // MakeDurable() synced the directory since it was moved there.
  if (old.name == name) return Status::Ok();

  // A process with our number, of another container perhaps, may have died with
  // a temporary of this name.
  const std::string temporary = TemporaryName(options_.latest);
  CAISSON_RETURN_IF_ERROR(Unlink(temporary));
  const Status written = WritePointer(temporary, name);
  int error = 0;
  if (written.ok()) {
    error = Uninterrupted([&] {
      return files_.Rename(dir(), temporary.c_str(), options_.latest.c_str());
    });
  }
  if (!written.ok() || error < 0) {
    // Also where it was never made: a call may be done and report an error.
    Uninterrupted([&] { return files_.Unlink(dir(), temporary.c_str()); });
    return written.ok() ? FromErrno(-error, path, "lead to " + name) : written;
  }
  error = SyncDirectory(files_, dir());
  if (error < 0) {
    return FromErrno(-error, path,
                     "leads to " + name +
                         ", but a power cut may still undo that: sync "
                         "directory " +
                         directory_.path());
  }
  return Status::Ok();
}

Status Rotation::Work::WritePointer(const std::string& temporary,
                                    const std::string& name) {
  const std::string path = PathOf(options_.latest);
  const int error = Uninterrupted(
      [&] { return files_.Symlink(name.c_str(), dir(), temporary.c_str()); });
  if (error == 0) return Status::Ok();
  if (!MeansNoLinks(-error)) {
    return FromErrno(-error, path, "make a link to " + name);
  }
  const int fd = Uninterrupted([&] {
    return files_.Open(dir(), temporary.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
  if (fd < 0) return FromErrno(-fd, path, "make a text file for " + name);
  File file(fd, path, files_);
  const std::string line = name + "\n";
  CAISSON_RETURN_IF_ERROR(file.WriteAt(0, std::as_bytes(std::span(line))));
  return file.Sync();
}

Status Rotation::Work::Tidy(uint64_t step) {
  CAISSON_ASSIGN_OR_RETURN(const auto names, Names());
  for (const std::string& name : names) {
    // Pointers are made by one Commit() at a time, and this one is past that.
    if (IsTemporaryOf(options_.latest, name)) {
      CAISSON_RETURN_IF_ERROR(Unlink(name));
    }
    const auto target = CheckpointOfTemporary(options_, name);
    if (!target.empty()) RemoveLeftovers(files_, dir(), target);
  }
  CAISSON_ASSIGN_OR_RETURN(auto old, Checkpoints());
  std::erase_if(old, [&](const Checkpoint& c) { return c.step > step; });
  if (old.size() <= options_.keep) return Status::Ok();
  old.resize(old.size() - options_.keep);
  for (const Checkpoint& checkpoint : old) {
    CAISSON_RETURN_IF_ERROR(Unlink(CheckpointName(options_, checkpoint.step)));
  }
  return Status::Ok();
}

Status Rotation::Work::Unlink(const std::string& name) {
  const int error =
      Uninterrupted([&] { return files_.Unlink(dir(), name.c_str()); });
  if (error == 0 || error == -ENOENT) return Status::Ok();
  return FromErrno(-error, PathOf(name), "remove");
}

Result<bool> Rotation::Work::IsRegular(const std::string& name) {
  struct stat found;
  const int error = Uninterrupted(
      [&] { return files_.StatName(dir(), name.c_str(), &found); });
  if (error == -ENOENT) return false;
  if (error < 0) return FromErrno(-error, PathOf(name), "stat");
  return S_ISREG(found.st_mode);
}

Result<std::vector<std::string>> Rotation::Work::Names() {
  std::vector<std::string> names;
  const int error = Uninterrupted([&] {
    names.clear();
    return files_.List(dir(), &names);
  });
  if (error < 0) return FromErrno(-error, directory_.path(), "list");
  return names;
}

Result<std::vector<Checkpoint>> Rotation::Work::Checkpoints() {
  CAISSON_ASSIGN_OR_RETURN(const auto names, Names());
  std::vector<Checkpoint> found;
  for (const std::string& name : names) {
    const auto step = StepOf(options_, name);
    if (!step) continue;
    CAISSON_ASSIGN_OR_RETURN(const bool regular, IsRegular(name));
    if (regular) found.push_back({*step, PathOf(name)});
  }
  std::sort(
      found.begin(), found.end(),
      [](const Checkpoint& a, const Checkpoint& b) { return a.step < b.step; });
  return found;
}

Rotation::Rotation(std::string directory, RotationOptions options,
                   FileSystem& files)
    : directory_(std::move(directory)),
      options_(std::move(options)),
      files_(&files) {}

Result<Rotation> MakeRotation(std::string directory, RotationOptions options,
                              FileSystem& files) {
  CAISSON_RETURN_IF_ERROR(CheckRotationNames(options));
  if (directory.empty()) directory = ".";
  return Rotation(std::move(directory), std::move(options), files);
}

Result<Rotation> Rotation::Create(std::string directory,
                                  RotationOptions options) {
  return MakeRotation(std::move(directory), std::move(options),
                      FileSystem::Posix());
}

std::string Rotation::PathFor(uint64_t step) const {
  return directory_ + "/" + CheckpointName(options_, step);
}

Status Rotation::Commit(uint64_t step) {
  CAISSON_ASSIGN_OR_RETURN(Work work, Work::Begin(*this));
  const std::string name = CheckpointName(options_, step);
  CAISSON_RETURN_IF_ERROR(work.MakeDurable(name));
  if (options_.verify) CAISSON_RETURN_IF_ERROR(CheckWhole(PathFor(step)));
  CAISSON_RETURN_IF_ERROR(work.MovePointer(name));
  return work.Tidy(step).WithContext(directory_ + "/" + options_.latest +
                                     " leads to " + name +
                                     ", but not all that is old is gone");
}

Result<Checkpoint> Rotation::Latest() const {
  CAISSON_ASSIGN_OR_RETURN(Work work, Work::Begin(*this));
  CAISSON_ASSIGN_OR_RETURN(const auto pointed, work.Pointed());
  std::string why = "there is none";
  if (pointed) {
    const Checkpoint checkpoint{*pointed, PathFor(*pointed)};
    if (!options_.verify || CheckWhole(checkpoint.path).ok()) return checkpoint;
  }
  CAISSON_ASSIGN_OR_RETURN(const auto all, work.Checkpoints());
  for (auto next = all.rbegin(); next != all.rend(); ++next) {
    const Status whole = CheckWhole(next->path);
    if (whole.ok()) return *next;
    why = "none of " + std::to_string(all.size()) +
          " is whole; the oldest: " + std::string(whole.message());
  }
  return Status::NotFound(directory_ + ": no checkpoint " + options_.prefix +
                          "N" + options_.suffix + ": " + why);
}

Result<std::vector<Checkpoint>> Rotation::List() const {
  CAISSON_ASSIGN_OR_RETURN(Work work, Work::Begin(*this));
  return work.Checkpoints();
}

}  // namespace caisson
