// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/block_loop.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "caisson/crc32.h"
#include "kernels/cpu/byte_swap.h"

namespace caisson::cpu {
namespace {

// Jobs that store more than this stream by themselves. bench/kernels_bench,
// stores_*: from a quarter of it on streaming is ahead even where the result is
// read next; but a destination that was in the caches before, as small ones
// may be, loses by it.
constexpr size_t kStreamAboveBytes = 1024 * 1024;

// How far an address is past the start of its line.
size_t PastLine(const std::byte* address) {
  return reinterpret_cast<uintptr_t>(address) % kLineBytes;
}

}  // namespace

void Pass::Size(Stores stores) {
  block_elems = kBlockBytes / std::max(step.src_width, step.dst_width);
  switch (stores) {
    case Stores::kAuto:
      stream_elems = kStreamAboveBytes / step.dst_width;
      break;
    case Stores::kCached:
      stream_elems = std::numeric_limits<size_t>::max();
      break;
    case Stores::kStreaming:
      stream_elems = 0;
      break;
  }
}

BlockLoop::BlockLoop(const Pass& pass, const Job& job, Gather* gather)
    : pass_(pass),
      job_(job),
      gather_(gather),
      streams_(Streams()),
      result_is_used_(job.dst != nullptr ||
                      (job.crc != nullptr && pass.step.crc_of_dst)) {}

void BlockLoop::Run() {
  if (gather_ != nullptr && gather_->tiled()) {
    RunTiles();
  } else {
    RunBlocks();
  }
}

bool BlockLoop::Streams() const {
  return job_.elems > pass_.stream_elems && job_.dst != nullptr &&
         job_.dst != job_.src &&
         (PastLine(job_.dst) & (pass_.step.dst_width - 1)) == 0;
}

std::byte* BlockLoop::Destination(size_t first) const {
  return job_.dst == nullptr ? nullptr
                             : job_.dst + first * pass_.step.dst_width;
}

void BlockLoop::RunBlocks() {
  for (size_t done = 0; done < job_.elems;) {
    std::byte* const dst = Destination(done);
    size_t elems = std::min(job_.elems - done, pass_.block_elems);
    // So that all blocks but the first begin with a line of the destination.
    if (streams_ && PastLine(dst) != 0) {
      elems =
          std::min(elems, (kLineBytes - PastLine(dst)) / pass_.step.dst_width);
    }
    const std::byte* src = job_.src + done * pass_.step.src_width;
    if (gather_ != nullptr) {
      // Into its place where nothing comes after it.
      const bool in_place = dst != nullptr && !streams_ && !pass_.conversion;
      std::byte* const gathered = in_place ? dst : gathered_.data();
      gather_->Next(gathered, elems);
      src = gathered;
    }
    Move(src, done, elems, crc_);
    done += elems;
  }
}

void BlockLoop::RunTiles() {
  const size_t plane = gather_->rows() * gather_->row_elems();
  const size_t band = kLineBytes / pass_.step.src_width;
  for (size_t done = 0; done < job_.elems; done += plane) {
    for (size_t row = 0; row < gather_->rows(); row += band) {
      RunBand(done, row, std::min(gather_->rows() - row, band));
    }
    gather_->NextPlane();
  }
}

// The rows follow each other in the destination and are made side by side, so
// that each has a CRC of its own until all are done.
void BlockLoop::RunBand(size_t plane, size_t row, size_t rows) {
  const size_t row_elems = gather_->row_elems();
  const size_t tile_elems = kTileBytes / (rows * pass_.step.src_width);
  const size_t most = std::min(tile_elems, pass_.block_elems);
  std::array<uint32_t, kMostRows> crcs{};
  for (size_t first = 0; first < row_elems;) {
    const size_t elems = std::min(row_elems - first, most);
    gather_->Tile({row, rows, first, elems}, gathered_.data());
    for (size_t i = 0; i < rows; ++i) {
      Move(&gathered_[i * elems * pass_.step.src_width],
           plane + (row + i) * row_elems + first, elems, crcs[i]);
    }
    first += elems;
  }
  if (job_.crc == nullptr) return;
  const uint64_t row_bytes =
      row_elems *
      (pass_.step.crc_of_dst ? pass_.step.dst_width : pass_.step.src_width);
  for (size_t i = 0; i < rows; ++i) {
    crc_ = Crc32Combine(crc_, crcs[i], row_bytes);
  }
}

void BlockLoop::Move(const std::byte* src, size_t first, size_t elems,
                     uint32_t& crc) {
  const size_t src_bytes = elems * pass_.step.src_width;
  const size_t dst_bytes = elems * pass_.step.dst_width;
  std::byte* const dst = Destination(first);
  std::byte* const made = dst == nullptr || streams_ ? made_.data() : dst;
  const bool wants_crc = job_.crc != nullptr;
  if (wants_crc && !pass_.step.crc_of_dst) crc = Crc32(crc, {src, src_bytes});
  const std::byte* const result = Change(src, made, first, elems);
  if (wants_crc && pass_.step.crc_of_dst) crc = Crc32(crc, {result, dst_bytes});
  if (dst == nullptr || result == dst) return;
  if (streams_ && PastLine(dst) == 0) {
    StreamCopy(result, dst, dst_bytes);
  } else {
    std::memcpy(dst, result, dst_bytes);
  }
}

const std::byte* BlockLoop::Change(const std::byte* src, std::byte* made,
                                   size_t first, size_t elems) {
  if (pass_.conversion) {
    if (job_.bad != nullptr) {
      const size_t bad = pass_.conversion->FirstBad(src, elems);
      // Tiles do not come in the order of their elements.
      if (bad < elems) bad_ = std::min<uint64_t>(this->bad(), first + bad);
    }
    if (result_is_used_) pass_.conversion->Run(src, made, elems);
    return made;
  }
  if (pass_.step.swap > 1 && result_is_used_) {
    SwapBytes(src, made, elems * pass_.step.src_width, pass_.step.swap);
    return made;
  }
  return src;
}

}  // namespace caisson::cpu
