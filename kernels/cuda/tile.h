// SPDX-License-Identifier: Apache-2.0
//
// Where a tile's slabs lie, and what comes after them.
//
// Pure; any thread, on either side.
#pragma once

#include <cstdint>

#include "kernels/cuda/crc32_column.h"
#include "kernels/cuda/launch.h"
#include "kernels/host_device.h"

namespace caisson::cuda {

struct Tile {
  uint64_t first_slab;
  uint64_t end_slab;
  uint32_t after;  // bytes of the stream past its last slab, modulo the period
                   // of x^8: minus the zeros that fill the last one
};

// REQUIRES: tile < job.tiles.
CAISSON_HOST_DEVICE inline Tile TileOf(const LaunchJob& job, uint32_t tile) {
  const uint64_t slabs = (job.grid_bytes() + kSlabBytes - 1) / kSlabBytes;
  Tile range;
  range.first_slab = uint64_t{tile} * job.tile_slabs;
  range.end_slab = range.first_slab + job.tile_slabs;
  if (range.end_slab > slabs) range.end_slab = slabs;
  const uint64_t end = range.end_slab * kSlabBytes;
  const uint64_t after = end <= job.grid_bytes()
                             ? job.grid_bytes() - end
                             : kCrc32Period - (end - job.grid_bytes());
  range.after = static_cast<uint32_t>(after % kCrc32Period);
  return range;
}

// Whether every word of the slab lies wholly in the stream.
CAISSON_HOST_DEVICE inline bool IsWhole(const LaunchJob& job, uint64_t slab) {
  const uint64_t begin = slab * kSlabBytes;
  return begin >= job.shift && begin + kSlabBytes <= job.grid_bytes();
}

CAISSON_HOST_DEVICE inline uint64_t WordOf(uint64_t slab, int row, int lane) {
  return (slab * kSlabRows + static_cast<uint64_t>(row)) * kLanes +
         static_cast<uint64_t>(lane);
}

// Words of the slab beyond this row are past the end of the stream.
CAISSON_HOST_DEVICE inline int RowsOf(const LaunchJob& job, uint64_t slab) {
  const uint64_t begin = slab * kSlabBytes;
  const uint64_t left = job.grid_bytes() - begin;
  if (left >= kSlabBytes) return kSlabRows;
  return static_cast<int>((left + kRowBytes - 1) / kRowBytes);
}

}  // namespace caisson::cuda
