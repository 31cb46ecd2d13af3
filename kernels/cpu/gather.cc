// SPDX-License-Identifier: Apache-2.0
//
// The view's dimensions are joined where they can be, so that the innermost
// loop is as long as it allows.
#include "kernels/cpu/gather.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace caisson::cpu {
namespace {

constexpr int64_t kLine = 64;  // bytes

template <size_t kWidth>
void CopyElements(const std::byte* src, int64_t stride, std::byte* dst,
                  int64_t elems) {
  for (int64_t i = 0; i < elems; ++i) {
    std::memcpy(dst + i * int64_t{kWidth}, src + i * stride, kWidth);
  }
}

void CopyRow(const std::byte* src, int64_t stride, std::byte* dst,
             int64_t elems, size_t width) {
  if (stride == static_cast<int64_t>(width)) {
    std::memcpy(dst, src, static_cast<size_t>(elems) * width);
    return;
  }
  switch (width) {
    case 1:
      return CopyElements<1>(src, stride, dst, elems);
    case 2:
      return CopyElements<2>(src, stride, dst, elems);
    case 4:
      return CopyElements<4>(src, stride, dst, elems);
    case 8:
      return CopyElements<8>(src, stride, dst, elems);
    default:
      return CopyElements<16>(src, stride, dst, elems);
  }
}

// Neighbours in a row and in a column lie so many bytes apart.
struct Grid {
  int64_t row_stride;
  int64_t stride;
  size_t rows;
  size_t elems;
};

// Column by column, as they lie in memory.
template <size_t kWidth>
void CopyGrid(const std::byte* src, const Grid& grid, std::byte* dst) {
  const size_t pitch = grid.elems * kWidth;
  for (size_t i = 0; i < grid.elems; ++i) {
    const std::byte* from = src + static_cast<int64_t>(i) * grid.stride;
    std::byte* to = dst + i * kWidth;
    for (size_t row = 0; row < grid.rows; ++row) {
      std::memcpy(to, from, kWidth);
      from += grid.row_stride;
      to += pitch;
    }
  }
}

}  // namespace

Gather::Gather(const std::byte* src, const StridedView& view, size_t width)
    : src_(src), width_(width) {
  for (const StridedView::Dim& dim : view.dims()) {
    dims_[rank_++] = {.elems = dim.elems, .stride = dim.stride};
  }
}

void Gather::Next(std::byte* dst, size_t elems) {
  Dim& row = dims_[0];
  while (elems > 0) {
    const int64_t run = std::min(row.elems - row.index, int64_t(elems));
    CopyRow(src_ + offset_, row.stride, dst, run, width_);
    offset_ += run * row.stride;
    row.index += run;
    dst += static_cast<size_t>(run) * width_;
    elems -= static_cast<size_t>(run);
    if (row.index == row.elems) Carry(0);
  }
}

void Gather::Carry(size_t i) {
  for (; dims_[i].index == dims_[i].elems; ++i) {
    offset_ -= dims_[i].elems * dims_[i].stride;
    dims_[i].index = 0;
    if (i + 1 == rank_) return;  // that was the last row
    offset_ += dims_[i + 1].stride;
    ++dims_[i + 1].index;
  }
}

bool Gather::tiled() const {
  if (rank_ < 2) return false;
  return std::abs(dims_[1].stride) <= kLine / 2 &&
         std::abs(dims_[0].stride) >= kLine && dims_[1].elems > 1;
}

void Gather::Tile(const Area& area, std::byte* dst) const {
  const std::byte* src = src_ + offset_ +
                         static_cast<int64_t>(area.row) * dims_[1].stride +
                         static_cast<int64_t>(area.first) * dims_[0].stride;
  const Grid grid = {.row_stride = dims_[1].stride,
                     .stride = dims_[0].stride,
                     .rows = area.rows,
                     .elems = area.elems};
  switch (width_) {
    case 1:
      return CopyGrid<1>(src, grid, dst);
    case 2:
      return CopyGrid<2>(src, grid, dst);
    case 4:
      return CopyGrid<4>(src, grid, dst);
    case 8:
      return CopyGrid<8>(src, grid, dst);
    default:
      return CopyGrid<16>(src, grid, dst);
  }
}

void Gather::NextPlane() {
  if (rank_ == 2) return;
  offset_ += dims_[2].stride;
  ++dims_[2].index;
  Carry(2);
}

}  // namespace caisson::cpu
