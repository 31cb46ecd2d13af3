// SPDX-License-Identifier: Apache-2.0
#include "cli/tensor_blocks.h"

#include <algorithm>
#include <limits>

namespace caisson::cli {

TensorBlocks::TensorBlocks(const TensorView& a, const TensorView& b,
                           uint64_t most_elems)
    : sizes_(a.spec.shape), widths_(sizes_.size(), 1), block_(sizes_.size()) {
  for (size_t d = 0; d < sizes_.size(); ++d) {
    if (sizes_[d] > 1 && a.strides[d] == 0 && b.strides[d] == 0) {
      const auto size = static_cast<uint64_t>(sizes_[d]);
      constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
      repeats_ = repeats_ > kMost / size ? kMost : repeats_ * size;
      sizes_[d] = 1;
    }
    if (sizes_[d] > 1) order_.push_back(d);
  }
  std::ranges::stable_sort(order_, [&](size_t left, size_t right) {
    return a.strides[left] > a.strides[right];
  });
  // As many as fit of the dimension that is densest, then of the next.
  uint64_t left = std::max<uint64_t>(most_elems, 1);
  for (auto d = order_.rbegin(); d != order_.rend(); ++d) {
    const uint64_t width = std::min<uint64_t>(sizes_[*d], left);
    widths_[*d] = static_cast<int64_t>(width);
    left = width < static_cast<uint64_t>(sizes_[*d]) ? 1 : left / width;
  }
}

bool TensorBlocks::Next() {
  if (!started_) {
    started_ = true;
    for (size_t d = 0; d < sizes_.size(); ++d) {
      if (sizes_[d] == 0) return false;
      block_[d] = {0, widths_[d]};
    }
    return true;
  }
  for (auto d = order_.rbegin(); d != order_.rend(); ++d) {
    Range& range = block_[*d];
    if (range.end < sizes_[*d]) {
      range.begin = range.end;
      range.end = std::min(range.begin + widths_[*d], sizes_[*d]);
      return true;
    }
    range = {0, widths_[*d]};
  }
  return false;
}

uint64_t TensorBlocks::elems() const {
  uint64_t elems = 1;
  for (const Range& range : block_) {
    elems *= static_cast<uint64_t>(range.end - range.begin);
  }
  return elems;
}

std::vector<int64_t> TensorBlocks::IndexOf(uint64_t at) const {
  std::vector<int64_t> index(block_.size());
  for (size_t d = block_.size(); d-- > 0;) {
    const auto width = static_cast<uint64_t>(block_[d].end - block_[d].begin);
    index[d] = block_[d].begin + static_cast<int64_t>(at % width);
    at /= width;
  }
  return index;
}

}  // namespace caisson::cli
