// SPDX-License-Identifier: Apache-2.0
//
// A view of a tensor, checked, with the dimensions that follow each other in
// memory joined.
//
// A plain value. Any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson {

class StridedView {
 public:
  static constexpr size_t kMaxRank = 64;

  struct Dim {
    int64_t elems = 1;
    int64_t stride = 0;  // bytes
  };

  // Of elements of `width` bytes. A stride may be 0 or negative.
  //
  // Errors: kInvalidArgument if the view has more than kMaxRank dimensions, a
  // negative one, not one stride for each, or not `elems` elements.
  static Result<StridedView> Make(const Strides& view, size_t elems,
                                  size_t width);

  // Whether the elements lie one after the other, from the first on.
  bool contiguous() const;

  // Of the dimensions that are there: an optional view that is none would be
  // copied whole without these.
  StridedView(const StridedView& other)
      : width_(other.width_), rank_(other.rank_) {
    std::copy_n(other.dims_.begin(), rank_, dims_.begin());
  }
  StridedView& operator=(const StridedView& other) {
    width_ = other.width_;
    rank_ = other.rank_;
    std::copy_n(other.dims_.begin(), rank_, dims_.begin());
    return *this;
  }

  // The fastest first; none for a view of no elements.
  std::span<const Dim> dims() const { return {dims_.data(), rank_}; }

 private:
  explicit StridedView(size_t width) : width_(width) {}

  // Adds a dimension outside of those that are there, or joins it to the last.
  void Append(int64_t elems, int64_t stride);

  size_t width_;
  size_t rank_ = 0;
  std::array<Dim, kMaxRank> dims_;
};

}  // namespace caisson
