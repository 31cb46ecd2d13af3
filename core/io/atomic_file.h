// SPDX-License-Identifier: Apache-2.0
//
// A file that appears whole or not at all. The bytes go to a temporary in the
// target's directory; Commit() makes them durable and puts them in the
// target's place in one step. Whatever happens before, a full disk, SIGKILL or
// a power cut, the target is what it was.
//
// Thread safety: as File for file(); Create, Commit and Abandon need the
// object alone. Writers of the same target do not disturb each other: the last
// Commit() wins.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "caisson/status.h"
#include "core/io/file.h"
#include "core/io/file_system.h"

namespace caisson {

struct AtomicFileOptions {
  // Wait until file and directory are on the device. Without it the result
  // survives a killed process, and may be lost or empty after a power cut.
  // Default: true.
  bool sync = true;
};

class AtomicFile {
 public:
  // Opens a temporary beside `path`, or beside what `path` leads to if it is a
  // symbolic link, which stays. The permission bits are those of the file that
  // will be replaced, else 0666 & ~umask; the owner is the caller. Removes
  // temporaries of the same target whose writer died. `files` must outlive the
  // object.
  //
  // Errors: kNotFound if the directory is missing; kInvalidArgument if `path`
  // is a directory or anything but a regular file; kIo.
  static Result<AtomicFile> Create(const std::string& path,
                                   const AtomicFileOptions& options = {},
                                   FileSystem& files = FileSystem::Posix());

  // The moved-from object is abandoned.
  AtomicFile(AtomicFile&&) noexcept = default;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile() { Abandon(); }

  // What to write to, from offset 0, for reading too. Messages call it `path`.
  //
  // REQUIRES: neither committed nor abandoned.
  File& file() { return file_; }

  // Where the target lies, symbolic links followed.
  const File& directory() const { return directory_; }

  // Replaces the target. All writes must have returned. Whatever the answer,
  // the temporary is gone and the object is spent.
  //
  // Errors: kIo and the target is as before, except where the message says
  // that the new file is in place; kInvalidArgument if the object was spent.
  Status Commit();

  // The file that Commit() replaced, if there was one; it has no name any more.
  // Closing its last descriptor gives its blocks back, which takes as long as
  // writing a tenth of it: who is in a hurry lets another thread do it.
  std::optional<File> TakeReplaced() { return std::exchange(replaced_, {}); }

  // Drops what was written. Does nothing after Commit().
  void Abandon();

 private:
  AtomicFile(FileSystem& files, File directory, File file, std::string target,
             bool sync);

  Status OpenTemporary(mode_t mode, bool keep_mode);
  Status OpenNamed(mode_t mode);
  Status Link();
  Status Publish();
  Status SyncDirectory();
  void HoldReplaced();

  FileSystem* files_;
  File directory_;         // of the target
  File file_;              // closed when the object is spent
  std::string target_;     // a name in directory_
  std::string temporary_;  // a name in directory_; empty: file_ has none
  bool sync_;
  std::optional<File> replaced_;
};

}  // namespace caisson
