// SPDX-License-Identifier: Apache-2.0
#include "kernels/strided_view.h"

#include <algorithm>
#include <limits>
#include <string>

namespace caisson {
namespace {

// OK if the product of `shape` is `elems`.
Status CheckElems(std::span<const int64_t> shape, size_t elems) {
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  size_t product = empty ? 0 : 1;
  for (const int64_t dim : shape) {
    if (dim < 0) {
      return Status::InvalidArgument("view with a dimension of " +
                                     std::to_string(dim));
    }
    if (__builtin_mul_overflow(product, static_cast<size_t>(dim), &product)) {
      return Status::InvalidArgument("view with more than 2^64 elements");
    }
  }
  // The dimensions that are joined count in int64_t.
  if (product > static_cast<size_t>(std::numeric_limits<int64_t>::max())) {
    return Status::InvalidArgument("view with more than 2^63 elements");
  }
  if (product != elems) {
    return Status::InvalidArgument("view of " + std::to_string(product) +
                                   " elements, expected " +
                                   std::to_string(elems));
  }
  return Status::Ok();
}

}  // namespace

Result<StridedView> StridedView::Make(const Strides& view, size_t elems,
                                      size_t width) {
  const size_t rank = view.shape.size();
  if (rank > kMaxRank || view.strides.size() != rank) {
    return Status::InvalidArgument(
        "view with " + std::to_string(rank) + " dimensions and " +
        std::to_string(view.strides.size()) + " strides");
  }
  if (Status status = CheckElems(view.shape, elems); !status.ok()) {
    return status;
  }
  StridedView joined(width);
  if (elems == 0) return joined;
  for (size_t i = rank; i-- > 0;) {
    if (view.shape[i] == 1) continue;
    int64_t stride;
    if (__builtin_mul_overflow(view.strides[i], int64_t(width), &stride) ||
        stride == std::numeric_limits<int64_t>::min()) {
      return Status::InvalidArgument("view with a stride of " +
                                     std::to_string(view.strides[i]));
    }
    joined.Append(view.shape[i], stride);
  }
  if (joined.rank_ == 0) joined.Append(1, int64_t(width));
  return joined;
}

void StridedView::Append(int64_t elems, int64_t stride) {
  if (rank_ > 0) {
    Dim& inner = dims_[rank_ - 1];
    int64_t extent;
    if (!__builtin_mul_overflow(inner.elems, inner.stride, &extent) &&
        extent == stride) {
      inner.elems *= elems;
      return;
    }
  }
  dims_[rank_++] = {.elems = elems, .stride = stride};
}

bool StridedView::contiguous() const {
  return rank_ == 0 ||
         (rank_ == 1 && dims_[0].stride == static_cast<int64_t>(width_));
}

}  // namespace caisson
