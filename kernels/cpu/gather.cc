// SPDX-License-Identifier: Apache-2.0
//
// Dimensions that follow each other in memory are joined first, so that the
// innermost loop is as long as the view allows.
#include "kernels/cpu/gather.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace caisson::cpu {
namespace {

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
  if (product != elems) {
    return Status::InvalidArgument("view of " + std::to_string(product) +
                                   " elements, expected " +
                                   std::to_string(elems));
  }
  return Status::Ok();
}

}  // namespace

Result<Gather> Gather::Make(const std::byte* src, const Strides& view,
                            size_t elems, size_t width) {
  const size_t rank = view.shape.size();
  if (rank > kMaxRank || view.strides.size() != rank) {
    return Status::InvalidArgument(
        "view with " + std::to_string(rank) + " dimensions and " +
        std::to_string(view.strides.size()) + " strides");
  }
  if (Status status = CheckElems(view.shape, elems); !status.ok()) {
    return status;
  }
  Gather gather(src, width);
  if (elems == 0) return gather;
  for (size_t i = rank; i-- > 0;) {
    if (view.shape[i] == 1) continue;
    int64_t stride;
    if (__builtin_mul_overflow(view.strides[i], int64_t(width), &stride)) {
      return Status::InvalidArgument("view with a stride of " +
                                     std::to_string(view.strides[i]));
    }
    gather.Append(view.shape[i], stride);
  }
  if (gather.rank_ == 0) gather.Append(1, int64_t(width));
  return gather;
}

void Gather::Append(int64_t elems, int64_t stride) {
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

bool Gather::contiguous() const {
  return rank_ == 0 ||
         (rank_ == 1 && dims_[0].stride == static_cast<int64_t>(width_));
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
    if (row.index == row.elems) Carry();
  }
}

void Gather::Carry() {
  for (size_t i = 0; dims_[i].index == dims_[i].elems; ++i) {
    offset_ -= dims_[i].elems * dims_[i].stride;
    dims_[i].index = 0;
    if (i + 1 == rank_) return;  // that was the last row
    offset_ += dims_[i + 1].stride;
    ++dims_[i + 1].index;
  }
}

}  // namespace caisson::cpu
