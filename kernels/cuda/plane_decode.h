// SPDX-License-Identifier: Apache-2.0
//
// Decodes a chunk with a Block. The reads of a stream go to global memory a
// byte a lane, next to each other.
//
// On either side; see plane_lanes.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/plane_lanes.h"
#include "kernels/kernel_table.h"

namespace caisson::cuda {

// A job as the device sees it.
struct PlaneDecodeTask {
  const uint8_t* src;
  uint8_t* dst;
  PlaneFault* fault;
  PlaneChunk chunk;
  bool sound;  // IsSound(chunk)
};

// What the threads of a block share.
struct PlaneDecodeShared {
  plane::CodedHead head;
  plane::Slot slots[plane::kSlots];
  uint64_t filler[plane::kSuperblock];  // elements past the end
  uint32_t fault;                       // of the head
  uint32_t broken;                      // streams
  uint32_t unfilled;                    // fillers that are something else
};

template <PlaneType kType, class Warp>
class SegmentDecoder {
 public:
  CAISSON_HOST_DEVICE SegmentDecoder(const Warp& warp,
                                     const PlaneDecodeTask& task,
                                     PlaneDecodeShared& shared, uint32_t s)
      : warp_(warp),
        task_(task),
        shared_(shared),
        segment_(shared.head.segments[s]),
        first_(s * plane::SegmentElems(task.chunk.shift)),
        superblocks_(
            plane::SegmentSuperblocks(task.chunk.elems, task.chunk.shift, s)) {}

  // False if the stream or its escapes do not end where they should.
  CAISSON_HOST_DEVICE bool Run() {
    const uint8_t* const at =
        task_.src + task_.chunk.raw_bytes + segment_.offset;
    stream_ = at + plane::kStateBytes;
    warp_.ForLanes([&](uint32_t lane) {
      states_[lane] = static_cast<uint32_t>(LoadWord<2>(at + 2 * lane));
      strange_[lane] = false;
    });
    for (uint32_t b = 0; b < superblocks_; ++b) {
      if (!Superblock(first_ + b * plane::kSuperblock)) return false;
    }
    typename Warp::template Var<bool> wrong;
    warp_.ForLanes([&](uint32_t lane) {
      wrong[lane] = states_[lane] != plane::kLeastState || strange_[lane];
    });
    return warp_.Ballot(wrong) == 0 && next_ == segment_.stream &&
           escape_ == segment_.escapes;
  }

  // Whether the bytes behind the segment are zeros.
  CAISSON_HOST_DEVICE bool IsFilled() const {
    const uint8_t* const at =
        task_.src + task_.chunk.raw_bytes + segment_.offset;
    typename Warp::template Var<bool> wrong;
    warp_.ForLanes([&](uint32_t lane) {
      const uint32_t i = segment_.used() + lane;
      wrong[lane] = i < segment_.bytes() && at[i] != 0;
    });
    return warp_.Ballot(wrong) == 0;
  }

 private:
  static constexpr PlaneTraits kTraits = TraitsOf(kType);

  CAISSON_HOST_DEVICE bool Superblock(uint32_t first) {
    const uint8_t flags = task_.chunk.flags;
    const uint32_t head_bits = plane::HeadBits(kType, flags);
    const uint8_t* const planes =
        task_.src +
        first / plane::kSuperblock * plane::SuperblockBytes(kType, flags);
    const uint8_t* row = planes + head_bits * plane::kRowBytes;
    const uint32_t row_bytes =
        plane::StoredRows(kType, flags) * plane::kRowBytes;
    typename Warp::template Var<uint32_t> heads;  // bits not used yet
    warp_.ForLanes([&](uint32_t lane) { heads[lane] = 0; });
    uint32_t held = 0;  // of those bits
    const uint8_t* word = planes;
    for (uint32_t step = 0; step < plane::kSteps; ++step) {
      if (held < head_bits) {
        warp_.ForLanes([&](uint32_t lane) {
          heads[lane] |= static_cast<uint32_t>(LoadWord<2>(word + 2 * lane))
                         << held;
        });
        word += plane::kRowBytes;
        held += 16;
      }
      typename Warp::template Var<bool> takes;
      typename Warp::template Var<bool> escapes;
      typename Warp::template Var<uint32_t> rows;
      warp_.ForLanes([&](uint32_t lane) {
        const plane::Slot slot = shared_.slots[states_[lane] % plane::kSlots];
        states_[lane] = plane::Advanced(states_[lane], slot);
        takes[lane] = states_[lane] < plane::kLeastState;
        escapes[lane] = slot.row == plane::kEscape;
        rows[lane] = slot.row;
      });
      const uint32_t taking = warp_.Ballot(takes);
      const uint32_t escaping = warp_.Ballot(escapes);
      if (next_ + CountBits(taking) > segment_.stream ||
          escape_ + CountBits(escaping) > segment_.escapes) {
        return false;
      }
      warp_.ForLanes([&](uint32_t lane) {
        if (takes[lane]) {
          states_[lane] =
              states_[lane] << 8 | stream_[next_ + Rank(taking, lane)];
        }
        const uint32_t symbol =
            escapes[lane]
                ? stream_[segment_.stream + escape_ + Rank(escaping, lane)]
                : shared_.head.model.symbols[rows[lane]];
        if (!plane::IsSymbol<kType>(symbol)) strange_[lane] = true;
        const uint32_t head =
            (heads[lane] & static_cast<uint32_t>(plane::LowBits(head_bits))) |
            shared_.head.head_const << head_bits;
        heads[lane] >>= head_bits;
        Store(symbol, head, row + 2 * lane, first, step, lane);
      });
      next_ += CountBits(taking);
      escape_ += CountBits(escaping);
      held -= head_bits;
      row += row_bytes;
    }
    return true;
  }

  CAISSON_HOST_DEVICE void Store(uint32_t symbol, uint32_t head,
                                 const uint8_t* row, uint32_t first,
                                 uint32_t step, uint32_t lane) {
    uint64_t word =
        uint64_t{plane::TopOf<kType>(symbol) | plane::TopOfHead<kType>(head)}
            << 16 * kTraits.rows |
        shared_.head.consts;
    for (int j = 0; j < kTraits.rows; ++j) {
      if (task_.chunk.flags & (kPlaneRow0Const << j)) continue;
      word |= LoadWord<2>(row) << 16 * j;
      row += plane::kRowBytes;
    }
    const uint64_t elem = plane::Restored<kType>(word, shared_.head.turn);
    const uint32_t index = plane::ElemOf(kTraits.width, step, lane);
    if (first + index < task_.chunk.elems) {
      StoreWord<kTraits.width>(
          elem, task_.dst + size_t{first + index} * kTraits.width);
    } else {
      shared_.filler[index] = elem;
    }
  }

  const Warp& warp_;
  const PlaneDecodeTask& task_;
  PlaneDecodeShared& shared_;
  const plane::Segment segment_;
  const uint32_t first_;
  const uint32_t superblocks_;
  typename Warp::template Var<uint32_t> states_;
  typename Warp::template Var<bool> strange_;  // an escape was no symbol
  const uint8_t* stream_ = nullptr;
  uint32_t next_ = 0;    // of the stream
  uint32_t escape_ = 0;  // of the escapes
};

// A chunk of mode kR16.
template <PlaneType kType, class Block>
CAISSON_HOST_DEVICE void DecodeR16(const Block& block,
                                   const PlaneDecodeTask& task,
                                   PlaneDecodeShared& shared) {
  block.ForThreads([&](uint32_t thread) {
    if (thread != 0) return;
    shared.fault = static_cast<uint32_t>(plane::ParseHead(
        task.src + task.chunk.raw_bytes, task.chunk, &shared.head));
  });
  block.Sync();
  if (shared.fault != 0) return;
  block.ForThreads([&](uint32_t thread) {
    if (thread >= plane::kRows) return;
    const uint8_t freq = shared.head.model.freqs[thread];
    for (uint32_t i = 0; i < freq; ++i) {
      shared.slots[shared.head.starts[thread] + i] = {
          freq, static_cast<uint8_t>(i), static_cast<uint8_t>(thread), 0};
    }
  });
  block.Sync();
  block.ForWarps([&](uint32_t s, const typename Block::Warp& warp) {
    if (s >= shared.head.segment_count) return;
    SegmentDecoder<kType, typename Block::Warp> decoder(warp, task, shared, s);
    const bool good = decoder.Run();
    const bool filled = decoder.IsFilled();
    warp.ForLanes([&](uint32_t lane) {
      if (lane != 0) return;
      if (!good) block.Or(&shared.broken, 1);
      if (!filled) block.Or(&shared.unfilled, 1);
    });
  });
  block.Sync();
  if (shared.broken != 0) return;
  // Filler has to repeat the last element.
  constexpr uint32_t kWidth = TraitsOf(kType).width;
  const uint32_t used = task.chunk.elems % plane::kSuperblock;
  const uint64_t last =
      LoadWord<kWidth>(task.dst + size_t{task.chunk.elems - 1} * kWidth);
  block.ForThreads([&](uint32_t thread) {
    for (uint32_t i = thread; i < plane::kSuperblock; i += kPlaneThreads) {
      if (used != 0 && i >= used && shared.filler[i] != last) {
        block.Or(&shared.unfilled, 1);
      }
    }
  });
}

// A chunk of mode kRaw or kConst, 8 bytes at a time.
template <class Block>
CAISSON_HOST_DEVICE void CopyElems(const Block& block,
                                   const PlaneDecodeTask& task) {
  const uint64_t bytes =
      uint64_t{task.chunk.elems} * TraitsOf(task.chunk.type).width;
  const bool is_const = task.chunk.mode == PlaneMode::kConst;
  uint64_t pattern = 0;
  for (uint32_t i = 0; is_const && i < 8; ++i) {
    pattern |= uint64_t{task.src[i % task.chunk.raw_bytes]} << 8 * i;
  }
  block.ForThreads([&](uint32_t thread) {
    for (uint64_t i = thread; i < bytes / 8; i += kPlaneThreads) {
      StoreWord<8>(is_const ? pattern : LoadWord<8>(task.src + 8 * i),
                   task.dst + 8 * i);
    }
    if (thread < bytes % 8) {
      const uint64_t at = bytes / 8 * 8 + thread;
      task.dst[at] =
          is_const ? static_cast<uint8_t>(pattern >> 8 * thread) : task.src[at];
    }
  });
}

// All but the CRC: `*task.fault` is kNone if only that is left to check.
template <class Block>
CAISSON_HOST_DEVICE void DecodeTask(const Block& block,
                                    const PlaneDecodeTask& task,
                                    PlaneDecodeShared& shared) {
  block.ForThreads([&](uint32_t thread) {
    if (thread != 0) return;
    shared.fault = static_cast<uint32_t>(task.sound ? PlaneFault::kNone
                                                    : PlaneFault::kFields);
    shared.broken = 0;
    shared.unfilled = 0;
  });
  block.Sync();
  const PlaneChunk& chunk = task.chunk;
  if (task.sound && chunk.mode == PlaneMode::kR16) {
    Block::WithType(chunk.type, [&](auto tag) {
      DecodeR16<decltype(tag)::kType>(block, task, shared);
    });
  } else if (task.sound) {
    CopyElems(block, task);
  }
  block.Sync();
  if (task.sound && shared.fault == 0 && shared.broken == 0) {
    const uint64_t used = uint64_t{chunk.raw_bytes} + chunk.coded_bytes;
    block.ForThreads([&](uint32_t thread) {
      if (used + thread < PlaneStoredBytes(chunk) &&
          task.src[used + thread] != 0) {
        block.Or(&shared.unfilled, 1);
      }
    });
  }
  block.Sync();
  block.ForThreads([&](uint32_t thread) {
    if (thread != 0) return;
    auto fault = static_cast<PlaneFault>(shared.fault);
    if (fault == PlaneFault::kNone) {
      fault = shared.broken != 0     ? PlaneFault::kStream
              : shared.unfilled != 0 ? PlaneFault::kFiller
                                     : PlaneFault::kNone;
    }
    *task.fault = fault;
  });
  block.Sync();
}

}  // namespace caisson::cuda
