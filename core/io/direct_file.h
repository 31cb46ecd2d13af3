// SPDX-License-Identifier: Apache-2.0
//
// A file that is read both ways: through the page cache, where it is there
// already, and past it, so that reading a checkpoint does not push out what
// others have there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "caisson/adapter.h"
#include "caisson/status.h"
#include "core/io/file.h"
#include "core/io/file_system.h"

namespace caisson {

class DirectFile final : public ReadAdapter {
 public:
  // Errors: those of File::OpenForRead(). `files` must outlive the object.
  static Result<std::shared_ptr<DirectFile>> Open(
      const std::string& path, FileSystem& files = FileSystem::Posix());

  const std::string& name() const override { return file_.path(); }
  uint64_t size() const override { return size_; }

  // Through the page cache.
  Result<size_t> Read(uint64_t offset, std::span<std::byte> dst) const override;

  // The same open file with direct I/O; null where the system refuses it. Some
  // file systems refuse the first transfer instead.
  const File* direct() const { return direct_ ? &*direct_ : nullptr; }

  int descriptor() const override { return file_.fd(); }

  // CachedShare() before the first byte was read.
  double cached_at_open() const { return cached_at_open_; }

  // About which share of the file lies in the page cache, 0 to 1. 0 where the
  // system does not say.
  double CachedShare() const;

  // Gives up what of it lies in the page cache.
  void DropCache() const { file_.DropCache(0, 0); }

 private:
  DirectFile(File file, std::optional<File> direct, uint64_t size)
      : file_(std::move(file)), direct_(std::move(direct)), size_(size) {}

  File file_;
  std::optional<File> direct_;
  uint64_t size_;
  double cached_at_open_ = 0;
};

}  // namespace caisson
