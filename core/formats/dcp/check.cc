// SPDX-License-Identifier: Apache-2.0
//
// The edges of all chunks cut a tensor into cells; each chunk is a block of
// them, and the blocks must fill the grid. A block stops at the first cell that
// is taken, so that the work is bounded by the number of cells.
#include "core/formats/dcp/check.h"

#include <algorithm>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"

namespace caisson::dcp {
namespace {

// More cells than this of one tensor are no layout that anybody saves.
constexpr uint64_t kMostCells = uint64_t{1} << 24;

constexpr size_t kMostNameBytes = 255;  // of a file, on every file system

std::string Listed(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(numbers[i]);
  }
  return text + "]";
}

bool IsEmpty(const std::vector<int64_t>& sizes) {
  return std::ranges::find(sizes, 0) != sizes.end();
}

// Where the edges of the chunks are in one dimension, sorted.
std::vector<int64_t> CutsOf(const Item& item, size_t dimension) {
  std::vector<int64_t> cuts = {0, item.shape[dimension]};
  for (const Chunk& chunk : item.chunks) {
    cuts.push_back(chunk.offsets[dimension]);
    cuts.push_back(chunk.offsets[dimension] + chunk.sizes[dimension]);
  }
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

size_t IndexOf(const std::vector<int64_t>& cuts, int64_t at) {
  return std::ranges::lower_bound(cuts, at) - cuts.begin();
}

// Cells, row-major, and which of them are taken.
class Grid {
 public:
  explicit Grid(std::vector<size_t> cells, size_t count)
      : cells_(std::move(cells)), taken_(count) {}

  // Takes the block of cells [begin, end); false if one was taken before.
  bool Take(const std::vector<size_t>& begin, const std::vector<size_t>& end) {
    std::vector<size_t> at = begin;
    while (true) {
      size_t index = 0;
      for (size_t d = 0; d < at.size(); ++d) index = index * cells_[d] + at[d];
      if (taken_[index]) return false;
      taken_[index] = true;
      size_t d = at.size();
      while (d > 0 && ++at[d - 1] == end[d - 1]) {
        at[d - 1] = begin[d - 1];
        --d;
      }
      if (d == 0) return true;
    }
  }

  bool full() const { return std::ranges::find(taken_, false) == taken_.end(); }

 private:
  const std::vector<size_t> cells_;
  std::vector<bool> taken_;
};

}  // namespace

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= kMostNameBytes && name != "." &&
         name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) ==
             std::string_view::npos;
}

Status CheckFileName(std::string_view name) {
  if (IsPlainName(name)) return Status::Ok();
  return Status::Corrupt("a shard called '" +
                         std::string(name.substr(0, kMostNameBytes)) +
                         "', which names no file of the checkpoint's folder");
}

Status CoverCheck::Check(const Item& item) {
  CAISSON_RETURN_IF_ERROR(CheckInside(item));
  return IsEmpty(item.shape) ? Status::Ok() : CheckCells(item);
}

Status CoverCheck::CheckInside(const Item& item) const {
  if (item.shape.size() > kMaxDims || !CheckedElems(item.shape)) {
    return Status::Corrupt("tensor '" + item.fqn + "': a bad size");
  }
  for (const Chunk& chunk : item.chunks) {
    bool inside = chunk.offsets.size() == item.shape.size() &&
                  chunk.sizes.size() == item.shape.size();
    for (size_t d = 0; inside && d < item.shape.size(); ++d) {
      inside = chunk.offsets[d] >= 0 && chunk.sizes[d] >= 0 &&
               chunk.offsets[d] <= item.shape[d] &&
               chunk.sizes[d] <= item.shape[d] - chunk.offsets[d];
    }
    if (!inside) {
      return Status::Corrupt("tensor '" + item.fqn + "': a chunk of " +
                             Listed(chunk.sizes) + " at " +
                             Listed(chunk.offsets) + " is not within " +
                             Listed(item.shape));
    }
  }
  return Status::Ok();
}

Status CoverCheck::CheckCells(const Item& item) {
  const size_t rank = item.shape.size();
  std::vector<std::vector<int64_t>> cuts(rank);
  std::vector<size_t> cells(rank);
  uint64_t count = 1;
  for (size_t d = 0; d < rank; ++d) {
    cuts[d] = CutsOf(item, d);
    cells[d] = cuts[d].size() - 1;
    count = CheckedMul(count, cells[d]).value_or(UINT64_MAX);
  }
  if (count > std::min(kMostCells, cells_left_)) {
    return Status::Unsupported("tensor '" + item.fqn +
                               "': chunks that cut it in " +
                               std::to_string(count) + " ways");
  }
  cells_left_ -= count;
  Grid grid(std::move(cells), count);
  std::vector<size_t> begin(rank);
  std::vector<size_t> end(rank);
  for (const Chunk& chunk : item.chunks) {
    if (IsEmpty(chunk.sizes)) continue;
    for (size_t d = 0; d < rank; ++d) {
      begin[d] = IndexOf(cuts[d], chunk.offsets[d]);
      end[d] = IndexOf(cuts[d], chunk.offsets[d] + chunk.sizes[d]);
    }
    if (!grid.Take(begin, end)) {
      return Status::Corrupt("tensor '" + item.fqn + "': the chunk at " +
                             Listed(chunk.offsets) + " overlaps another");
    }
  }
  if (grid.full()) return Status::Ok();
  return Status::Corrupt("tensor '" + item.fqn +
                         "': a hole between its chunks");
}

}  // namespace caisson::dcp
