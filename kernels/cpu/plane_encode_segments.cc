// SPDX-License-Identifier: Apache-2.0
//
// Runs planes and coder over the segments of a chunk, four at a time: each
// superblock of four segments is split into L1 and encoded from there, the last
// superblock first.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/cpu/plane_coder.h"
#include "kernels/cpu/plane_tables.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/plane_encode_segments.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/plane_segments-inl.h"

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

#if CAISSON_PLANE_VECTORS

template <PlaneType kType, bool kHeadConst>
class Encoder {
  using TypePlanes = Planes<kType, kHeadConst>;
  static constexpr size_t kWidth = TraitsOf(kType).width;

 public:
  Encoder(const PlaneSource& source, const plane::EncodePlan& plan)
      : source_(source),
        plan_(plan),
        src_(reinterpret_cast<const uint8_t*>(source.src)),
        dst_(reinterpret_cast<uint8_t*>(source.dst)),
        raw_bytes_(PlaneRawBytes(kType, plan.flags, source.elems)),
        planes_(plan.flags, 0, 0, plan.turn),
        tables_(MakeEncodeTables(plan.model)) {}

  PlaneResult Run() {
    uint8_t* const coded = dst_ + raw_bytes_;
    bool fits = source_.room - raw_bytes_ >= kPlaneHeaderBytes;
    if (fits) {
      plane::WriteHead(plan_, kType, coded);
      fits =
          ForGroups(source_.elems, source_.shift,
                    [&](uint32_t s, auto ways, uint32_t superblocks) {
                      return EncodeGroup<decltype(ways)::value>(s, superblocks);
                    });
    }
    PlaneResult result;
    result.coded_bytes = fits ? used_ : 0;
    result.differing = sums_.Differing(kWidth);
    result.has_symbols = sums_.HaveSymbols();
    return result;
  }

 private:
  template <int kWays>
  bool EncodeGroup(uint32_t s, uint32_t superblocks) {
    SegmentWriter writers[kWays];
    Superblock blocks[kWays];
    for (int j = 0; j < kWays; ++j) Open(j, &writers[j]);
    const size_t segment = plane::SegmentElems(source_.shift);
    const size_t first = s * segment;
    for (uint32_t b = superblocks; b-- > 0;) {
      for (int j = 0; j < kWays; ++j) {
        const size_t at = j * segment + b * plane::kSuperblock;
        PrefetchPlanes(first + at);
        Split(first + at, &blocks[j]);
      }
      EncodeSteps<kWays>(tables_, writers, blocks);
      for (int j = 0; j < kWays; ++j) PutEscapes(blocks[j], &writers[j]);
    }
    for (int j = 0; j < kWays; ++j) {
      if (!Place(s + j, writers[j])) return false;
    }
    return true;
  }

  // Where the planes of the superblock before this one go, which is next.
  // Superblocks are taken backwards from four places, which the hardware's
  // prefetcher does not follow. Always inline: as a function of its own, which
  // returns and changes nothing, g++ 12 drops it.
  HWY_INLINE void PrefetchPlanes(size_t elem) const {
    if (elem < plane::kSuperblock) return;
    const uint8_t* const planes =
        dst_ + (elem / plane::kSuperblock - 1) * planes_.plane_bytes();
    for (size_t line = 0; line < planes_.plane_bytes(); line += 64) {
#if defined(__GNUC__)
      __builtin_prefetch(planes + line, /*for writing=*/1);
#endif
    }
  }

  void Open(int way, SegmentWriter* writer) const {
    const size_t elems = plane::SegmentElems(source_.shift);
    auto* const at = reinterpret_cast<uint8_t*>(source_.scratch) +
                     way * (2 * elems + 2 * kWriteSlack);
    writer->stream = writer->stream_end = at + kWriteSlack + elems;
    writer->escapes = writer->escapes_end = at + 2 * kWriteSlack + 2 * elems;
    std::fill_n(writer->states, plane::kLanes,
                static_cast<uint16_t>(plane::kLeastState));
  }

  void Split(size_t elem, Superblock* block) {
    uint8_t* const planes =
        dst_ + elem / plane::kSuperblock * planes_.plane_bytes();
    const uint8_t* const from = src_ + elem * kWidth;
    const size_t left = source_.elems - elem;
    if (left >= plane::kSuperblock) {
      planes_.Split(from, plan_.first, planes, block, &sums_);
      return;
    }
    alignas(64) uint8_t all[TypePlanes::kElemBytes];
    std::memcpy(all, from, left * kWidth);
    for (size_t i = left; i < plane::kSuperblock; ++i) {
      std::memcpy(all + i * kWidth, all + (left - 1) * kWidth, kWidth);
    }
    planes_.Split(all, plan_.first, planes, block, &sums_);
  }

  static void PutEscapes(const Superblock& block, SegmentWriter* writer) {
    const uint32_t all = StepsWithEscapes(block.escapes);
    if (all == 0) return;
    uint32_t count = 0;
    for (uint32_t steps = all; steps != 0; steps &= steps - 1) {
      count += static_cast<uint32_t>(hwy::PopCount(
          block.escapes[hwy::Num0BitsBelowLS1Bit_Nonzero32(steps)]));
    }
    writer->escapes -= count;
    uint8_t* to = writer->escapes;
    for (uint32_t steps = all; steps != 0; steps &= steps - 1) {
      const size_t step = hwy::Num0BitsBelowLS1Bit_Nonzero32(steps);
      uint32_t lanes = block.escapes[step];
      do {
        *to++ = static_cast<uint8_t>(
            block.lanes[step][hwy::Num0BitsBelowLS1Bit_Nonzero32(lanes)]);
        lanes &= lanes - 1;
      } while (HWY_UNLIKELY(lanes != 0));
    }
  }

  // Puts a segment behind those before it. False if there is no room.
  bool Place(uint32_t s, const SegmentWriter& writer) {
    const plane::Segment segment = {
        used_, static_cast<uint32_t>(writer.stream_end - writer.stream),
        static_cast<uint32_t>(writer.escapes_end - writer.escapes)};
    if (segment.bytes() > source_.room - raw_bytes_ - used_) return false;
    uint8_t* const coded = dst_ + raw_bytes_;
    uint8_t* const entry = coded + plane::kSegmentsAt + 4 * s;
    PutLittle16(segment.stream, entry);
    PutLittle16(segment.escapes, entry + 2);
    uint8_t* at = coded + used_;
    std::memcpy(at, writer.states, plane::kStateBytes);
    at += plane::kStateBytes;
    std::memcpy(at, writer.stream, segment.stream);
    at += segment.stream;
    std::memcpy(at, writer.escapes, segment.escapes);
    at += segment.escapes;
    used_ += segment.bytes();
    std::memset(at, 0, static_cast<size_t>(coded + used_ - at));
    return true;
  }

  static void PutLittle16(uint32_t value, uint8_t* at) {
    at[0] = static_cast<uint8_t>(value);
    at[1] = static_cast<uint8_t>(value >> 8);
  }

  const PlaneSource& source_;
  const plane::EncodePlan& plan_;
  const uint8_t* const src_;
  uint8_t* const dst_;
  const uint32_t raw_bytes_;
  const TypePlanes planes_;
  const EncodeTables tables_;
  SplitSums sums_;
  uint32_t used_ = kPlaneHeaderBytes;
};

PlaneResult EncodeWith(const PlaneSource& source,
                       const plane::EncodePlan& plan) {
  return WithPlanes(source.type, plan.flags, [&](auto tag, auto is_const) {
    return Encoder<decltype(tag)::kType, is_const()>(source, plan).Run();
  });
}

#else

PlaneResult EncodeWith(const PlaneSource& source,
                       const plane::EncodePlan& plan) {
  return EncodePlanesPlainly(source, plan);
}

#endif  // CAISSON_PLANE_VECTORS

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(EncodeWith);

// Four segments being written: a stream has at most a byte for each element,
// and so have its escapes.
size_t PlaneEncodeScratch(PlaneType, uint8_t shift) {
  return 4 * (2 * size_t{plane::SegmentElems(shift)} + 2 * kWriteSlack);
}

PlaneResult EncodePlanes(const PlaneSource& source,
                         const plane::EncodePlan& plan) {
  return HWY_DYNAMIC_DISPATCH(EncodeWith)(source, plan);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
