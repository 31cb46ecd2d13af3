// SPDX-License-Identifier: Apache-2.0
//
// A file that is written and read as an Engine would, with no work in between:
// what the disk gives to whoever asks in that way.
//
// Thread safety: used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "caisson/status.h"
#include "core/io/file.h"
#include "core/io/io_queue.h"

namespace caisson {

class RawFile {
 public:
  // An empty file in `directory` that loses its name at once.
  //
  // Errors: kNotFound if there is no such directory; kIo; kUnavailable for
  // direct transfers that the file system refuses.
  static Result<RawFile> Create(const std::string& directory, bool direct);

  // Writes `bytes` in transfers of `window`, and syncs the file. All come from
  // `memory`, again and again.
  //
  // REQUIRES, here and below: memory starts on a page and holds at least one
  // window; both sizes are multiples of kDirectAlignment.
  Status Write(IoQueue& queue, uint64_t bytes, size_t window,
               std::span<std::byte> memory);

  // Reads what was written, none of which is in the page cache.
  Status Read(IoQueue& queue, uint64_t bytes, size_t window,
              std::span<std::byte> memory);

  // Gives up what of the file lies in the page cache.
  void DropCache() const { file_.DropCache(0, 0); }

 private:
  explicit RawFile(File file) : file_(std::move(file)) {}

  File file_;
};

// Gives up what of the file at `path` lies in the page cache.
Status DropFromCache(const std::string& path);

}  // namespace caisson
