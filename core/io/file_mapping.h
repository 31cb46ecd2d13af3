// SPDX-License-Identifier: Apache-2.0
//
// A file as memory: pages come when they are touched, and what is written to
// them stays in this process.
//
// Thread safety: a value; the bytes are the owner's to synchronise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "caisson/status.h"

namespace caisson {

class FileMapping {
 public:
  // Maps the first `bytes` of the file behind `fd`, which may be closed
  // afterwards. `path` is for messages. A file that shrinks while it is mapped
  // ends the process that touches what is gone.
  //
  // REQUIRES: bytes > 0.
  // Errors: kIo, kOutOfMemory.
  static Result<std::shared_ptr<const FileMapping>> Map(
      int fd, uint64_t bytes, const std::string& path);

  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;
  ~FileMapping();

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit FileMapping(std::span<std::byte> bytes) : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

}  // namespace caisson
