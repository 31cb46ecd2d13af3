// SPDX-License-Identifier: Apache-2.0
//
// A staged range of a file that is being written: which bytes of which pieces
// go where, and in which order facts come of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/device/staging_pool.h"
#include "kernels/kernel_table.h"

namespace caisson {

// A run of a piece that is brought into the window.
struct Fill {
  Step step;
  const std::byte* src = nullptr;
  size_t at = 0;          // in the window
  size_t bytes = 0;       // there
  uint32_t crc = 0;       // of these; set by who fills
  bool together = false;  // of a device: by a kernel with those beside it,
                          // however large it is
};

// The runs that come from one place: the host, or a device.
struct PlaceFills {
  std::vector<Fill> fills;
  Status status;       // of who filled them
  double seconds = 0;  // of one thread of the host
};

// What the window holds at some place, as far as facts depend on it.
struct WindowEvent {
  enum class Kind : uint8_t {
    kFill,      // places[place].fills[index], of `piece`
    kUnit,      // an element that was laid by the cursor; of `piece`
    kDeferred,  // a part of the deferred literal `index`
    kStored,    // copies[index]: stored bytes of the encoded `piece`
  };
  Kind kind = Kind::kFill;
  size_t place = 0;
  size_t index = 0;
  size_t piece = 0;
  size_t at = 0;     // in the window
  size_t bytes = 0;  // there
  size_t from = 0;   // kDeferred: of its first byte, in the literal
  uint32_t crc = 0;  // kUnit
};

struct WindowImage {
  StagingPool::Block block;
  uint64_t offset = 0;              // of its first byte in the file
  size_t used = 0;                  // bytes that are laid
  std::vector<PlaceFills> places;   // the host's first
  std::vector<WindowEvent> events;  // in file order
  std::deque<uint32_t> copies;      // CRCs; set by who copies
  std::deque<PlaceFills> encoded;   // runs of chunks that a device encoded
  std::vector<StorageHandle> held;  // until it is filled
  std::atomic<size_t> unfilled{1};  // places, copies and runs of chunks that
                                    // are not done, and who lays it out
  bool filled = false;
};

// How those that lay chunks get windows.
struct WindowFeed {
  // The window that bytes go to now, with room for at least one.
  std::function<Result<WindowImage*>()> current;
  // Any thread: one of those that `unfilled` counts is done.
  std::function<void(WindowImage*)> done;
};

// A place for up to `bytes` in `window`, which will hold stored bytes of the
// encoded `piece`. Who fills it sets *crc to what they have.
std::span<std::byte> TakePlace(WindowImage& window, size_t piece, size_t bytes,
                               uint32_t** crc);

// Copies every run into its place in `window`, with its CRC in the same pass,
// and sets status and seconds.
void FillWindow(const KernelTable& kernels, std::span<std::byte> window,
                PlaceFills& fills);

// The same of runs that lie in their places as they were in their sources.
void FinishWindow(const KernelTable& kernels, std::span<std::byte> window,
                  PlaceFills& fills);

}  // namespace caisson
