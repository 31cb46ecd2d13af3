// SPDX-License-Identifier: Apache-2.0
//
// Which way bytes go between memory and the files of a directory, found by
// trying it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "caisson/engine.h"
#include "caisson/status.h"
#include "core/io/file.h"
#include "core/io/file_system.h"

namespace caisson {

struct IoPath {
  std::string file_system;  // "ext4": see FileSystemName()

  // Whether transfers can go past the page cache, and how that is known.
  bool direct = false;
  std::string direct_reason;

  // What IoKind::kAuto means here, and why. Never kAuto.
  IoKind queue = IoKind::kThreads;
  std::string queue_reason;

  std::optional<uint64_t> free_bytes;  // that the caller may still write
};

// Writes and reads one block of a file in `directory`, which has no name or
// loses it at once.
//
// Errors: kNotFound if there is no such directory; kIo if no file can be made
// in it.
Result<IoPath> ProbeIoPath(const std::string& directory,
                           FileSystem& files = FileSystem::Posix());

// The same for an open file that is still empty: writes and reads its first
// block, if need be, and leaves it empty; without direct I/O if that is false.
//
// Errors: kIo if it cannot be emptied again.
Result<bool> ProbeDirect(File& file, FileSystem& files);

}  // namespace caisson
