// SPDX-License-Identifier: Apache-2.0
//
// How fast a directory's disk takes bytes.
//
// Thread safety: a free function; any thread.
#pragma once

#include <string>

#include "caisson/status.h"
#include "core/io/io_queue.h"

namespace caisson {

// Bytes a second: writes a file of some ten megabytes, which loses its name at
// once, through `queue`, and syncs it; past the page cache if `direct`, and if
// that works.
//
// Errors: kNotFound, kIo; kOutOfMemory.
Result<double> ProbeDiskRate(const std::string& directory, IoQueue& queue,
                             bool direct);

// The directory that `path` is in.
std::string DirectoryOf(const std::string& path);

}  // namespace caisson
