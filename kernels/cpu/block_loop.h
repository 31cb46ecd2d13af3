// SPDX-License-Identifier: Apache-2.0
//
// One job of a transform, in blocks so small that whatever is done to one, its
// CRC included, finds it in L1: memory is read once and written once, whatever
// the step. Where the result shall not stay in the caches a block is made in
// scratch and streamed from there.
//
// A BlockLoop is some 12 KiB of scratch on the stack of one call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/checked_step.h"
#include "kernels/cpu/conversion.h"
#include "kernels/cpu/gather.h"
#include "kernels/cpu/stream_copy.h"
#include "kernels/kernel_table.h"

namespace caisson::cpu {

// A block, of source or destination, whichever is larger; elements of every
// width fill it. Larger ones stream up to a third slower on Zen 4; smaller ones
// pay more for the ends of their CRCs.
inline constexpr size_t kBlockBytes = 4 * 1024;

// What a step does to every job.
struct Pass {
  CheckedStep step;
  std::optional<Conversion> conversion;

  // Set by Size(), so that a batch of small jobs divides once.
  size_t block_elems = 0;   // at the most in a block
  size_t stream_elems = 0;  // larger jobs stream

  // Sets the sizes that follow from the widths and `stores`.
  void Size(Stores stores);
};

class BlockLoop {
 public:
  // Reads through `gather`, or from the job's source if it is null. All
  // have to outlive the loop.
  BlockLoop(const Pass& pass, const Job& job, Gather* gather);

  // Does the job; call once.
  void Run();

  uint32_t crc() const { return crc_; }  // 0 if the job wants none
  uint64_t bad() const { return bad_.value_or(job_.elems); }

 private:
  // A tile of a view has as many rows as a line of the source has elements,
  // and as much of each as leaves room for the block in an L1 of 32 KiB.
  static constexpr size_t kTileBytes = 8 * 1024;
  static constexpr size_t kMostRows = kLineBytes;

  void RunBlocks();
  void RunTiles();

  // The rows [row, row + rows) of a plane that begins with element `plane`.
  void RunBand(size_t plane, size_t row, size_t rows);

  bool Streams() const;

  // Moves the elements at `src` to their place, of which `first` is the first,
  // and goes on with `crc`, which is that of what precedes them.
  void Move(const std::byte* src, size_t first, size_t elems, uint32_t& crc);

  // Where the elements are after the step: `made`, or where they were if it
  // changes nothing.
  const std::byte* Change(const std::byte* src, std::byte* made, size_t first,
                          size_t elems);

  // Where element `first` goes, null for nowhere.
  std::byte* Destination(size_t first) const;

  const Pass& pass_;
  const Job& job_;
  Gather* const gather_;
  const bool streams_;
  const bool result_is_used_;  // else only the source's CRC is wanted
  uint32_t crc_ = 0;
  std::optional<uint64_t> bad_;
  alignas(kLineBytes) std::array<std::byte, kBlockBytes> made_;
  alignas(kLineBytes) std::array<std::byte, kTileBytes> gathered_;
};

}  // namespace caisson::cpu
