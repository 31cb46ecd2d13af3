// SPDX-License-Identifier: Apache-2.0
//
// A list of read tasks as windows of the file, in file order: small tensors
// that lie together are read at once, and large ones in equal shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/engine/read/read_task.h"
#include "kernels/kernel_table.h"

namespace caisson {

// A run of a piece within one window, or all of one that is encoded.
struct ReadPart {
  Step step;
  const Piece* encoded = nullptr;  // null: it is raw
  bool sum = false;                // whether a CRC is wanted
  uint32_t crc = 0;                // of these bytes
  uint64_t offset = 0;             // in the file
  size_t bytes = 0;                // there
  std::byte* dst = nullptr;        // null: nothing is kept
  size_t elems = 0;                // of Step::from
  Status status;                   // of an encoded one: what is wrong with it
};

struct ReadWindow {
  uint64_t offset = 0;  // a multiple of the alignment, as is `bytes`
  size_t bytes = 0;
  size_t first_part = 0;
  size_t parts = 0;
  Status status;  // kCancelled until it was read
};

class ReadPlan {
 public:
  // Which encoded pieces may be parts of windows.
  enum class Encoded : uint8_t {
    kPlanes,  // chunks of the plane codec that are only decoded
    kAll,
  };

  // Of those `tasks` that can be split; `rest` gets the indices of the others,
  // and of those that would have the same bytes read more than a few times.
  // Windows have at most `window_bytes`, a multiple of the alignment.
  ReadPlan(std::span<ReadTask> tasks, size_t window_bytes, Encoded encoded,
           std::vector<size_t>* rest);

  std::span<ReadWindow> windows() { return windows_; }
  std::span<ReadPart> PartsOf(const ReadWindow& window) {
    return std::span(parts_).subspan(window.first_part, window.parts);
  }

  // Sets what came of each task, once every window has its status and its
  // parts have their CRCs.
  void Finish(const ByteSource& source, std::span<ReadTask> tasks);

 private:
  struct Extent;

  void Cut(const Extent& extent, size_t window_bytes);

  // A piece of a task, whose parts follow each other.
  struct PlannedPiece {
    size_t task;
    const Piece* piece;
    size_t first_part;
    size_t end_part;
  };

  std::vector<ReadPart> parts_;
  std::vector<ReadWindow> windows_;
  std::vector<PlannedPiece> pieces_;
};

// Brings the bytes of each part from `image`, which holds the file from
// `offset` on, to where they belong, with their CRCs.
Status DrainParts(const KernelTable& kernels, const std::byte* image,
                  uint64_t offset, std::span<ReadPart> parts);

}  // namespace caisson
