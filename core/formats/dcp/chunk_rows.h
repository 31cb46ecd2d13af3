// SPDX-License-Identifier: Apache-2.0
//
// How a chunk, a block of a tensor, lies in it: as rows, each a run of the
// tensor's elements and of the chunk's, both in row-major order.
//
// Plain functions of numbers; any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace caisson::dcp {

class ChunkRows {
 public:
  // REQUIRES: the chunk lies within `shape` and has elements; their product
  // fits.
  ChunkRows(const std::vector<int64_t>& shape,
            const std::vector<int64_t>& offsets,
            const std::vector<int64_t>& sizes);

  uint64_t count() const { return count_; }
  uint64_t elems() const { return elems_; }  // of each row

  // The first element of row `row` in the tensor. Grows with the row.
  uint64_t Start(uint64_t row) const;

  // The first row that ends behind the element `elem` of the tensor; count()
  // if there is none.
  uint64_t FirstBehind(uint64_t elem) const;

 private:
  uint64_t first_ = 0;
  uint64_t count_ = 1;
  uint64_t elems_ = 1;
  std::vector<uint64_t> sizes_;    // of the dimensions that count rows
  std::vector<uint64_t> strides_;  // of these, in the tensor
};

}  // namespace caisson::dcp
