// SPDX-License-Identifier: Apache-2.0
//
// The cursor of a write: lays bytes into a staging window, which is the image
// of one aligned range of the file, and writes each window when it is full.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "core/io/file.h"

namespace caisson {

class WindowCursor {
 public:
  // `window` is the staging memory, reused for one range after the other.
  // Both must outlive the cursor. REQUIRES: !window.empty().
  WindowCursor(File& file, std::span<std::byte> window)
      : file_(file), window_(window) {}

  // The offset of the next byte in the file.
  uint64_t offset() const { return base_ + used_; }

  // Room for the next bytes, at most `wanted` and at least one: what stands
  // there after Advance() will be in the file.
  Result<std::span<std::byte>> Room(uint64_t wanted);

  // Moves past `bytes` that were laid into Room().
  void Advance(size_t bytes) { used_ += bytes; }

  // Copies `bytes` in.
  Status Put(std::span<const std::byte> bytes);

  // Leaves a hole of `bytes`.
  Status Skip(uint64_t bytes);

  // Writes what the window holds.
  Status Flush();

 private:
  File& file_;
  const std::span<std::byte> window_;
  uint64_t base_ = 0;  // the file offset of the window's first byte
  size_t used_ = 0;
};

}  // namespace caisson
