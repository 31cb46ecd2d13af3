// SPDX-License-Identifier: Apache-2.0
//
// A staged range of a file that is being written: which bytes of which pieces
// go where, and in which order facts come of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "caisson/status.h"
#include "core/device/staging_pool.h"
#include "kernels/kernel_table.h"

namespace caisson {

// A run of a piece that a worker copies.
struct Fill {
  Step step;
  const std::byte* src = nullptr;
  size_t at = 0;     // in the window
  size_t bytes = 0;  // there
  uint32_t crc = 0;  // of these; set by FillWindow
};

// What the window holds at some place, as far as facts depend on it.
struct WindowEvent {
  enum class Kind : uint8_t {
    kFill,      // fills[index], of `piece`
    kUnit,      // an element that was laid by the cursor; of `piece`
    kDeferred,  // a part of the deferred literal `index`
  };
  Kind kind = Kind::kFill;
  size_t index = 0;
  size_t piece = 0;
  size_t at = 0;     // in the window
  size_t bytes = 0;  // there
  size_t from = 0;   // kDeferred: of its first byte, in the literal
  uint32_t crc = 0;  // kUnit
};

struct WindowImage {
  StagingPool::Block block;
  uint64_t offset = 0;  // of its first byte in the file
  size_t used = 0;      // bytes that are laid
  std::vector<Fill> fills;
  std::vector<WindowEvent> events;  // in file order
  bool filled = false;
  Status status;            // of FillWindow
  double fill_seconds = 0;  // of one thread
};

// Copies every run of the window into its place, with its CRC in the same
// pass, and sets status and fill_seconds.
void FillWindow(const KernelTable& kernels, WindowImage& window);

}  // namespace caisson
