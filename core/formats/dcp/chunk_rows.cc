// SPDX-License-Identifier: Apache-2.0
#include "core/formats/dcp/chunk_rows.h"

#include <cstddef>

namespace caisson::dcp {

ChunkRows::ChunkRows(const std::vector<int64_t>& shape,
                     const std::vector<int64_t>& offsets,
                     const std::vector<int64_t>& sizes) {
  const size_t rank = shape.size();
  std::vector<uint64_t> strides(rank, 1);
  for (size_t d = rank; d-- > 1;) {
    strides[d - 1] = strides[d] * static_cast<uint64_t>(shape[d]);
  }
  for (size_t d = 0; d < rank; ++d) {
    first_ += static_cast<uint64_t>(offsets[d]) * strides[d];
  }
  // A row has the last dimension that is cut, and what lies below it.
  size_t d = rank;
  while (d > 0 && sizes[d - 1] == shape[d - 1]) {
    elems_ *= static_cast<uint64_t>(sizes[--d]);
  }
  if (d > 0) elems_ *= static_cast<uint64_t>(sizes[--d]);
  for (size_t i = 0; i < d; ++i) {
    if (sizes[i] == 1) continue;
    sizes_.push_back(static_cast<uint64_t>(sizes[i]));
    strides_.push_back(strides[i]);
    count_ *= sizes_.back();
  }
}

uint64_t ChunkRows::Start(uint64_t row) const {
  uint64_t start = first_;
  for (size_t d = sizes_.size(); d-- > 0;) {
    start += row % sizes_[d] * strides_[d];
    row /= sizes_[d];
  }
  return start;
}

uint64_t ChunkRows::FirstBehind(uint64_t elem) const {
  uint64_t low = 0;
  uint64_t high = count_;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (Start(middle) + elems_ > elem) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace caisson::dcp
