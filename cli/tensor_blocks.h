// SPDX-License-Identifier: Apache-2.0
//
// Cuts two tensors of one shape into blocks that are compared one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "caisson/reader.h"
#include "caisson/tensor.h"

namespace caisson::cli {

// Walks over the blocks of a shape. Blocks follow the strides of `a`, so that
// a transposed tensor is read in the order in which it lies in its file; a
// contiguous one is cut into runs that follow each other. Dimensions that
// repeat one element in both tensors are looked at once.
class TensorBlocks {
 public:
  // Blocks of at most `most_elems` elements, but of one at least.
  // REQUIRES: valid views of the same shape.
  TensorBlocks(const TensorView& a, const TensorView& b, uint64_t most_elems);

  // False when there is no block left.
  bool Next();

  // The present block, one range for each dimension.
  const std::vector<Range>& block() const { return block_; }
  uint64_t elems() const;

  // The index in the tensor of the block's row-major element `at`.
  std::vector<int64_t> IndexOf(uint64_t at) const;

  // How often each element that is looked at stands in the tensor; saturates.
  uint64_t repeats() const { return repeats_; }

 private:
  std::vector<int64_t> sizes_;   // 1 for dimensions that only repeat
  std::vector<size_t> order_;    // dimensions, that of the largest stride first
  std::vector<int64_t> widths_;  // of a block, for each dimension
  std::vector<Range> block_;
  uint64_t repeats_ = 1;
  bool started_ = false;
};

}  // namespace caisson::cli
