// SPDX-License-Identifier: Apache-2.0
//
// A batch as a device sees it: jobs, cut into tiles that warps take.
//
// Each job has a primary stream of bytes, which the tiles cut: that of which
// the CRC is taken, else what is stored. Its bytes lie on a grid of slabs that
// begins `shift` bytes before the first of them, so that the words of the grid
// are words of memory.
//
// Plain data, copied to devices as it is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/number.h"

namespace caisson::cuda {

// What all jobs of a launch have in common.
struct LaunchStep {
  Number from = Number::kUnsigned;
  Number to = Number::kUnsigned;
  bool converts = false;
  bool of_source = false;  // the primary stream is what is read
  bool check = false;      // integers against [least, most]
  uint8_t from_log2 = 0;   // of the bytes of an element, where it is read
  uint8_t to_log2 = 0;
  uint8_t swap = 1;  // bytes of the unit to reverse; 1: none
  int64_t least = 0;
  uint64_t most = 0;

  CAISSON_HOST_DEVICE uint32_t from_width() const { return 1u << from_log2; }
  CAISSON_HOST_DEVICE uint32_t to_width() const { return 1u << to_log2; }

  // The same of an element of the primary stream.
  CAISSON_HOST_DEVICE uint32_t stream_log2() const {
    return of_source ? from_log2 : to_log2;
  }
};

// A dimension of a view, the fastest first.
struct LaunchDim {
  uint64_t elems;
  int64_t stride;  // bytes
};

struct LaunchJob {
  const std::byte* src = nullptr;
  std::byte* dst = nullptr;  // null: nothing is stored
  uint64_t elems = 0;
  uint64_t bytes = 0;       // of the primary stream
  uint32_t* crc = nullptr;  // or null
  uint64_t* bad = nullptr;  // or null
  uint32_t shift = 0;
  uint32_t seed = 0;        // the CRC of as many zeros
  uint32_t first_tile = 0;  // of the launch
  uint32_t tiles = 1;
  uint32_t tile_slabs = 1;  // of each but the last, which may have fewer
  uint32_t first_dim = 0;
  uint32_t dims = 0;  // 0: contiguous

  CAISSON_HOST_DEVICE uint64_t grid_bytes() const { return shift + bytes; }
};

// What the tiles of a job add up, in device memory that starts as zeros.
struct LaunchSums {
  uint32_t remainder;
  uint32_t unused;
  unsigned long long bad;  // the complement of the first bad element; 0: none
};

}  // namespace caisson::cuda
