// SPDX-License-Identifier: Apache-2.0
//
// Reads the elements of a strided view in order, a run at a time; or, where its
// rows lie across the memory (a transposed matrix), in tiles of several rows.
//
// A Gather refers to the caller's memory and owns none. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/strided_view.h"

namespace caisson::cpu {

class Gather {
 public:
  // Of `view`, whose first element is at `src`; elements have `width` bytes.
  //
  // REQUIRES: the view is not empty.
  Gather(const std::byte* src, const StridedView& view, size_t width);

  // Writes the next `elems` elements to `dst`, one after the other.
  //
  // REQUIRES: that many are left; `dst` does not overlap them.
  void Next(std::byte* dst, size_t elems);

  // Whether neighbours in a column share a cache line and neighbours in a row
  // do not, so that Tile() reads each line once where Next() would read it for
  // every row again.
  bool tiled() const;

  // The last two dimensions are a plane of rows() by row_elems().
  //
  // REQUIRES: tiled().
  size_t rows() const { return static_cast<size_t>(dims_[1].elems); }
  size_t row_elems() const { return static_cast<size_t>(dims_[0].elems); }

  // A part of a plane.
  struct Area {
    size_t row = 0;
    size_t rows = 0;
    size_t first = 0;  // in each row
    size_t elems = 0;
  };

  // Writes an area of the current plane to `dst`, one row after the other.
  //
  // REQUIRES: tiled(); the area lies in the plane; `dst` does not overlap it.
  void Tile(const Area& area, std::byte* dst) const;

  // Goes to the next plane, after the last to the first.
  void NextPlane();

 private:
  struct Dim {
    int64_t elems = 1;
    int64_t stride = 0;  // bytes
    int64_t index = 0;   // of the next element
  };

  // Carries an index that has reached its end, of dimension `i`, outwards.
  void Carry(size_t i);

  const std::byte* src_;
  size_t width_;
  int64_t offset_ = 0;  // bytes from src_ to the next element
  size_t rank_ = 0;
  std::array<Dim, StridedView::kMaxRank> dims_;  // the fastest first
};

}  // namespace caisson::cpu
