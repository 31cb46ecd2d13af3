// SPDX-License-Identifier: Apache-2.0
//
// Encodes a chunk with a Block: counts the sample, makes the table, encodes
// each segment into scratch from its end, and puts the segments together. What
// the sample says is constant is verified on the way; a chunk where it was
// wrong is encoded again.
//
// On either side; see plane_lanes.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/plane_lanes.h"
#include "kernels/plane/plan.h"

namespace caisson::cuda {

// A job as the device sees it.
struct PlaneEncodeTask {
  const uint8_t* src;
  uint8_t* dst;
  PlaneChunk* chunk;  // all but the CRC is written
  PlaneType type;
  uint8_t shift;
  uint32_t elems;
};

// What a segment's stream and escapes may take in scratch.
CAISSON_HOST_DEVICE constexpr uint32_t SegmentScratch(uint8_t shift) {
  return 2 * plane::SegmentElems(shift);
}
CAISSON_HOST_DEVICE constexpr uint32_t ChunkScratch(uint8_t shift) {
  return kPlaneSegments * SegmentScratch(shift);
}

// What the threads of a block share.
struct PlaneEncodeShared {
  uint32_t counts[256];
  uint32_t keys[256];  // of frequent symbols; else 0
  uint8_t rows[256];   // of symbols
  uint32_t starts[plane::kRows];
  uint32_t inverses[plane::kRows];
  uint32_t states[kPlaneSegments][plane::kLanes];
  plane::Segment segments[kPlaneSegments];
  plane::EncodePlan plan;
  uint64_t cost;
  uint32_t differing[2];  // the halves of 64 bits
  uint32_t symbolless;
  uint32_t coded_bytes;
  bool again;  // what was taken for constant is not

  CAISSON_HOST_DEVICE uint64_t Differing() const {
    return uint64_t{differing[1]} << 32 | differing[0];
  }
};

template <PlaneType kType, class Block>
class ChunkEncoder {
  using Warp = typename Block::Warp;
  static constexpr PlaneTraits kTraits = TraitsOf(kType);
  static constexpr uint32_t kWidth = kTraits.width;

 public:
  CAISSON_HOST_DEVICE ChunkEncoder(const Block& block,
                                   const PlaneEncodeTask& task,
                                   uint8_t* scratch, PlaneEncodeShared& shared)
      : block_(block), task_(task), scratch_(scratch), shared_(shared) {}

  CAISSON_HOST_DEVICE void Run() {
    if (task_.elems < kPlaneLeastElems) {
      Compare();
      if (shared_.Differing() == 0) return Copy(PlaneMode::kConst);
      return Copy(PlaneMode::kRaw);
    }
    Plan();
    if (shared_.Differing() == 0) {  // the sample is constant: is the chunk?
      Compare();
      if (shared_.Differing() == 0) return Copy(PlaneMode::kConst);
    }
    while (shared_.plan.worth) {
      Encode();
      if (shared_.again) continue;
      if (shared_.coded_bytes == 0) break;
      return Assemble();
    }
    Copy(PlaneMode::kRaw);
  }

 private:
  CAISSON_HOST_DEVICE uint64_t Elem(uint32_t index) const {
    return LoadWord<kWidth>(task_.src + size_t{index} * kWidth);
  }

  // Thread 0 does what is not worth more.
  template <typename Fn>
  CAISSON_HOST_DEVICE void Once(const Fn& fn) const {
    block_.ForThreads([&](uint32_t thread) {
      if (thread == 0) fn();
    });
    block_.Sync();
  }

  CAISSON_HOST_DEVICE void ClearDiffering() {
    block_.Sync();
    Once([&] {
      shared_.differing[0] = shared_.differing[1] = 0;
      shared_.symbolless = 0;
    });
  }

  CAISSON_HOST_DEVICE void AddDiffering(uint64_t bits) const {
    if (bits == 0) return;
    block_.Or(&shared_.differing[0], static_cast<uint32_t>(bits));
    block_.Or(&shared_.differing[1], static_cast<uint32_t>(bits >> 32));
  }

  // In which bits any element differs from the first.
  CAISSON_HOST_DEVICE void Compare() {
    ClearDiffering();
    const uint64_t first = Elem(0);
    block_.ForThreads([&](uint32_t thread) {
      uint64_t bits = 0;
      for (uint32_t i = thread; i < task_.elems; i += kPlaneThreads) {
        bits |= Elem(i) ^ first;
      }
      AddDiffering(bits);
    });
    block_.Sync();
  }

  // Calls fn(element) for the sample.
  template <typename Fn>
  CAISSON_HOST_DEVICE void ForSample(uint32_t thread, const Fn& fn) const {
    constexpr uint32_t kGroups = kPlaneThreads / plane::kSampleRun;
    for (uint32_t at = thread / plane::kSampleRun * plane::kSampleStride +
                       thread % plane::kSampleRun;
         at < task_.elems; at += kGroups * plane::kSampleStride) {
      fn(Elem(at));
    }
  }

  // Counts symbols of the sample, turned so.
  CAISSON_HOST_DEVICE void Count(uint32_t turn) {
    ClearDiffering();
    block_.ForThreads([&](uint32_t thread) { shared_.counts[thread] = 0; });
    block_.Sync();
    const uint64_t first = plane::Prepared<kType>(Elem(0), turn);
    block_.ForThreads([&](uint32_t thread) {
      uint64_t bits = 0;
      ForSample(thread, [&](uint64_t elem) {
        const uint64_t word = plane::Prepared<kType>(elem, turn);
        bits |= word ^ first;
        if (!plane::HasSymbol<kType>(word)) block_.Or(&shared_.symbolless, 1);
        block_.Add(&shared_.counts[plane::SymbolOf<kType>(word)], 1);
      });
      AddDiffering(bits);
    });
    block_.Sync();
  }

  // plane::MakeModel(): every thread ranks a symbol.
  CAISSON_HOST_DEVICE void MakeModel() {
    const uint32_t sample = plane::SampleElems(task_.elems);
    block_.ForThreads([&](uint32_t thread) {
      const uint32_t count = shared_.counts[thread];
      shared_.keys[thread] =
          plane::IsFrequent(count, sample) ? plane::KeyOf(count, thread) : 0;
    });
    block_.Sync();
    block_.ForThreads([&](uint32_t thread) {
      const uint32_t key = shared_.keys[thread];
      uint32_t larger = 0;
      for (uint32_t i = 0; i < 256; ++i) larger += shared_.keys[i] > key;
      shared_.rows[thread] = key != 0 && larger < plane::kEscape
                                 ? 0
                                 : static_cast<uint8_t>(plane::kEscape);
    });
    block_.Sync();
    Once([&] {
      plane::Model& model = shared_.plan.model;
      model = {};
      uint32_t rows[plane::kRows] = {};
      uint32_t left = sample;
      uint32_t kept = 0;
      for (uint32_t symbol = 0; symbol < 256; ++symbol) {
        if (shared_.rows[symbol] == plane::kEscape) continue;
        shared_.rows[symbol] = static_cast<uint8_t>(kept);
        model.symbols[kept] = static_cast<uint8_t>(symbol);
        rows[kept] = shared_.counts[symbol];
        left -= rows[kept];
        ++kept;
      }
      rows[plane::kEscape] = left + 1;
      plane::Normalize(rows, model.freqs);
      uint64_t cost =
          left *
          uint64_t{plane::CostOf(model.freqs[plane::kEscape]) + 8 * 256u};
      uint32_t start = 0;
      for (uint32_t i = 0; i < plane::kRows; ++i) {
        if (i < kept) cost += uint64_t{rows[i]} * plane::CostOf(model.freqs[i]);
        shared_.starts[i] = start;
        shared_.inverses[i] = InverseOf(model.freqs[i]);
        start += model.freqs[i];
      }
      shared_.cost = cost;
    });
  }

  // ORs of the sample.
  CAISSON_HOST_DEVICE uint64_t AnyBits(uint32_t turn) {
    ClearDiffering();
    block_.ForThreads([&](uint32_t thread) {
      uint64_t bits = 0;
      ForSample(thread, [&](uint64_t elem) {
        bits |= plane::Prepared<kType>(elem, turn);
      });
      AddDiffering(bits);
    });
    block_.Sync();
    return shared_.Differing();
  }

  // plane::TurnOf().
  CAISSON_HOST_DEVICE uint32_t Turn() {
    uint64_t bits = AnyBits(0);
    uint32_t zigzag = 0;
    if (bits >> (8 * kWidth - 1) != 0) {
      zigzag = plane::kZigzag;
      bits = AnyBits(zigzag);
    }
    uint32_t bytes = 1;
    while (bytes < 8 && bits >> 8 * bytes != 0) ++bytes;
    const uint32_t turn = zigzag | (kWidth - bytes);
    Count(turn);
    MakeModel();
    const bool noise =
        plane::IsNoise(shared_.cost, plane::SampleElems(task_.elems));
    block_.Sync();
    return noise && bytes < kWidth ? turn - 1 : turn;
  }

  CAISSON_HOST_DEVICE bool IsWorth() const {
    return PlaneRawBytes(kType, shared_.plan.flags, task_.elems) +
               shared_.plan.predicted <=
           plane::WorthBytes(uint64_t{task_.elems} * kWidth);
  }

  // plane::PlanChunk().
  CAISSON_HOST_DEVICE void Plan() {
    uint32_t turn = 0;
    if constexpr (kTraits.is_integer) turn = Turn();
    Count(turn);
    MakeModel();
    Once([&] {
      plane::EncodePlan& plan = shared_.plan;
      plan.turn = turn;
      plan.first = plane::Prepared<kType>(Elem(0), turn);
      plan.flags = plane::ConstFlags<kType>(shared_.Differing());
      const uint64_t sampled = plane::SampleElems(task_.elems);
      plan.predicted = kPlaneHeaderBytes +
                       uint64_t{plane::SegmentCount(task_.elems, task_.shift)} *
                           plane::kStateBytes +
                       shared_.cost * task_.elems / (sampled * 2048);
      plan.worth = shared_.symbolless == 0 && IsWorth();
    });
  }

  // Encodes all segments into scratch, and finds out what came of it.
  CAISSON_HOST_DEVICE void Encode() {
    ClearDiffering();
    block_.ForWarps([&](uint32_t s, const Warp& warp) {
      if (s < plane::SegmentCount(task_.elems, task_.shift)) {
        EncodeSegment(s, warp);
      }
    });
    block_.Sync();
    Once([&] {
      const uint8_t flags = plane::ConstFlags<kType>(shared_.Differing());
      shared_.again = false;
      shared_.coded_bytes = 0;
      if (shared_.symbolless != 0) {
        shared_.plan.worth = false;
      } else if (shared_.plan.flags & ~flags) {
        shared_.plan.flags &= flags;
        shared_.plan.worth = IsWorth();
        shared_.again = true;
      } else {
        Measure();
      }
    });
  }

  // Lays the segments out, if they are small enough.
  CAISSON_HOST_DEVICE void Measure() {
    uint32_t used = kPlaneHeaderBytes;
    const uint32_t segments = plane::SegmentCount(task_.elems, task_.shift);
    for (uint32_t s = 0; s < segments; ++s) {
      shared_.segments[s].offset = used;
      used += shared_.segments[s].bytes();
    }
    const uint64_t raw = PlaneRawBytes(kType, shared_.plan.flags, task_.elems);
    if (raw + used <= plane::WorthBytes(uint64_t{task_.elems} * kWidth)) {
      shared_.coded_bytes = used;
    } else {
      shared_.plan.worth = false;
    }
  }

  CAISSON_HOST_DEVICE void EncodeSegment(uint32_t s, const Warp& warp) {
    uint8_t* const end = scratch_ + (s + 1) * SegmentScratch(task_.shift);
    uint8_t* escapes = end;
    uint8_t* stream = end - plane::SegmentElems(task_.shift);
    uint8_t* const stream_end = stream;
    typename Warp::template Var<uint32_t> states;
    typename Warp::template Var<uint64_t> differing;
    warp.ForLanes([&](uint32_t lane) {
      states[lane] = plane::kLeastState;
      differing[lane] = 0;
    });
    const uint32_t first = s * plane::SegmentElems(task_.shift);
    for (uint32_t b = plane::SegmentSuperblocks(task_.elems, task_.shift, s);
         b-- > 0;) {
      const uint32_t at = first + b * plane::kSuperblock;
      WritePlanes(at, warp, differing);
      for (uint32_t step = plane::kSteps; step-- > 0;) {
        typename Warp::template Var<bool> gives;
        typename Warp::template Var<bool> escaping;
        typename Warp::template Var<uint32_t> symbols;
        warp.ForLanes([&](uint32_t lane) {
          symbols[lane] = plane::SymbolOf<kType>(Word(at, step, lane));
          const uint32_t row = shared_.rows[symbols[lane]];
          escaping[lane] = row == plane::kEscape;
          gives[lane] =
              plane::GivesByte(states[lane], shared_.plan.model.freqs[row]);
        });
        const uint32_t giving = warp.Ballot(gives);
        const uint32_t found = warp.Ballot(escaping);
        stream -= CountBits(giving);
        escapes -= CountBits(found);
        warp.ForLanes([&](uint32_t lane) {
          uint32_t state = states[lane];
          if (gives[lane]) {
            stream[Rank(giving, lane)] = static_cast<uint8_t>(state);
            state >>= 8;
          }
          if (escaping[lane]) {
            escapes[Rank(found, lane)] = static_cast<uint8_t>(symbols[lane]);
          }
          const uint32_t row = shared_.rows[symbols[lane]];
          const uint32_t freq = shared_.plan.model.freqs[row];
          const uint32_t quotient = Quotient(state, shared_.inverses[row]);
          states[lane] =
              quotient * (plane::kSlots - freq) + state + shared_.starts[row];
        });
      }
    }
    warp.ForLanes([&](uint32_t lane) {
      shared_.states[s][lane] = states[lane];
      AddDiffering(differing[lane]);
      if (lane != 0) return;
      shared_.segments[s].stream = static_cast<uint32_t>(stream_end - stream);
      shared_.segments[s].escapes = static_cast<uint32_t>(end - escapes);
    });
  }

  // An element of the superblock at `at`; past the end the last one.
  CAISSON_HOST_DEVICE uint64_t Word(uint32_t at, uint32_t step,
                                    uint32_t lane) const {
    const uint32_t index = at + plane::ElemOf(kWidth, step, lane);
    return plane::Prepared<kType>(
        Elem(index < task_.elems ? index : task_.elems - 1), shared_.plan.turn);
  }

  CAISSON_HOST_DEVICE void WritePlanes(
      uint32_t at, const Warp& warp,
      typename Warp::template Var<uint64_t>& differing) {
    const uint8_t flags = shared_.plan.flags;
    const uint32_t head_bits = plane::HeadBits(kType, flags);
    uint8_t* word = task_.dst + at / plane::kSuperblock *
                                    plane::SuperblockBytes(kType, flags);
    uint8_t* row = word + head_bits * plane::kRowBytes;
    typename Warp::template Var<uint32_t> heads;
    warp.ForLanes([&](uint32_t lane) { heads[lane] = 0; });
    uint32_t held = 0;
    for (uint32_t step = 0; step < plane::kSteps; ++step) {
      warp.ForLanes([&](uint32_t lane) {
        const uint64_t elem = Word(at, step, lane);
        differing[lane] |= elem ^ shared_.plan.first;
        if (!plane::HasSymbol<kType>(elem)) block_.Or(&shared_.symbolless, 1);
        const plane::Parts parts = plane::TakenApart<kType>(elem);
        heads[lane] |=
            (parts.head & static_cast<uint32_t>(plane::LowBits(head_bits)))
            << held;
        if (held + head_bits >= 16) {
          StoreWord<2>(heads[lane], word + 2 * lane);
          heads[lane] >>= 16;
        }
        uint8_t* to = row + 2 * lane;
        for (int j = 0; j < kTraits.rows; ++j) {
          if (flags & (kPlaneRow0Const << j)) continue;
          StoreWord<2>(parts.rows >> 16 * j, to);
          to += plane::kRowBytes;
        }
      });
      held += head_bits;
      if (held >= 16) {
        held -= 16;
        word += plane::kRowBytes;
      }
      row += plane::StoredRows(kType, flags) * plane::kRowBytes;
    }
  }

  CAISSON_HOST_DEVICE void Put16(uint32_t value, uint8_t* at) const {
    at[0] = static_cast<uint8_t>(value);
    at[1] = static_cast<uint8_t>(value >> 8);
  }

  // Puts the segments behind the planes.
  CAISSON_HOST_DEVICE void Assemble() {
    const uint32_t raw = PlaneRawBytes(kType, shared_.plan.flags, task_.elems);
    uint8_t* const coded = task_.dst + raw;
    const uint32_t segments = plane::SegmentCount(task_.elems, task_.shift);
    Once([&] {
      plane::WriteHead(shared_.plan, kType, coded);
      for (uint32_t s = 0; s < segments; ++s) {
        Put16(shared_.segments[s].stream, coded + plane::kSegmentsAt + 4 * s);
        Put16(shared_.segments[s].escapes,
              coded + plane::kSegmentsAt + 4 * s + 2);
      }
      PlaneChunk& chunk = *task_.chunk;
      chunk.mode = PlaneMode::kR16;
      chunk.flags = shared_.plan.flags;
      chunk.type = kType;
      chunk.shift = task_.shift;
      chunk.elems = task_.elems;
      chunk.raw_bytes = raw;
      chunk.coded_bytes = shared_.coded_bytes;
    });
    block_.ForWarps([&](uint32_t s, const Warp& warp) {
      if (s >= segments) return;
      const plane::Segment& segment = shared_.segments[s];
      const uint8_t* const end =
          scratch_ + (s + 1) * SegmentScratch(task_.shift);
      const uint8_t* const stream =
          end - plane::SegmentElems(task_.shift) - segment.stream;
      uint8_t* const to = coded + segment.offset;
      warp.ForLanes([&](uint32_t lane) {
        Put16(shared_.states[s][lane], to + 2 * lane);
        for (uint32_t i = lane; i < segment.stream; i += plane::kLanes) {
          to[plane::kStateBytes + i] = stream[i];
        }
        for (uint32_t i = lane; i < segment.escapes; i += plane::kLanes) {
          to[plane::kStateBytes + segment.stream + i] =
              end[static_cast<ptrdiff_t>(i) - segment.escapes];
        }
        for (uint32_t i = segment.used() + lane; i < segment.bytes();
             i += plane::kLanes) {
          to[i] = 0;
        }
      });
    });
    block_.Sync();
    Fill(raw + shared_.coded_bytes);
  }

  // Stores the elements, or the one that all are.
  CAISSON_HOST_DEVICE void Copy(PlaneMode mode) {
    const uint32_t bytes =
        mode == PlaneMode::kConst ? kWidth : task_.elems * kWidth;
    block_.Sync();
    block_.ForThreads([&](uint32_t thread) {
      for (uint32_t i = thread; i < bytes / 8; i += kPlaneThreads) {
        StoreWord<8>(LoadWord<8>(task_.src + 8 * i), task_.dst + 8 * i);
      }
      if (thread < bytes % 8) {
        task_.dst[bytes / 8 * 8 + thread] = task_.src[bytes / 8 * 8 + thread];
      }
      if (thread != 0) return;
      PlaneChunk& chunk = *task_.chunk;
      chunk.mode = mode;
      chunk.flags = 0;
      chunk.type = kType;
      chunk.shift = task_.shift;
      chunk.elems = task_.elems;
      chunk.raw_bytes = bytes;
      chunk.coded_bytes = 0;
    });
    Fill(bytes);
  }

  // Zeros from `used` to where the next chunk may be.
  CAISSON_HOST_DEVICE void Fill(uint32_t used) {
    block_.ForThreads([&](uint32_t thread) {
      const uint32_t end =
          (used + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
      if (used + thread < end) task_.dst[used + thread] = 0;
    });
    block_.Sync();
  }

  const Block& block_;
  const PlaneEncodeTask& task_;
  uint8_t* const scratch_;
  PlaneEncodeShared& shared_;
};

template <class Block>
CAISSON_HOST_DEVICE void EncodeTask(const Block& block,
                                    const PlaneEncodeTask& task,
                                    uint8_t* scratch,
                                    PlaneEncodeShared& shared) {
  Block::WithType(task.type, [&](auto tag) {
    ChunkEncoder<decltype(tag)::kType, Block>(block, task, scratch, shared)
        .Run();
  });
}

}  // namespace caisson::cuda
