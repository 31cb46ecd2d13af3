// SPDX-License-Identifier: Apache-2.0
//
// Runs coder and planes over the segments of a chunk, four at a time: each
// superblock of four segments is decoded into L1 and merged from there.
#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "caisson/crc32.h"
#include "kernels/cpu/plane_coder.h"
#include "kernels/cpu/plane_tables.h"
#include "kernels/plane/element_io.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/plane_decode_segments.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/plane_segments-inl.h"

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

#if CAISSON_PLANE_VECTORS

template <PlaneType kType, bool kHeadConst>
class Decoder {
  using TypePlanes = Planes<kType, kHeadConst>;
  static constexpr size_t kWidth = TraitsOf(kType).width;

 public:
  explicit Decoder(const PlaneTarget& target)
      : target_(target),
        head_(*target.head),
        src_(reinterpret_cast<const uint8_t*>(target.src)),
        planes_(target.chunk.flags, head_.consts, head_.head_const, head_.turn),
        tables_(MakeDecodeTables<kType>(head_, kTopOfEscape)) {}

  PlaneVerdict Run() {
    const bool good =
        ForGroups(target_.chunk.elems, target_.chunk.shift,
                  [&](uint32_t s, auto ways, uint32_t superblocks) {
                    return DecodeGroup<decltype(ways)::value>(s, superblocks);
                  });
    if (!good) return {PlaneFault::kStream, 0};
    if (!fillers_good_) return {PlaneFault::kFiller, 0};
    return {PlaneFault::kNone, crc_};
  }

 private:
  // Whatever is read ahead of a stream near the end of the source.
  struct Tail {
    uint8_t bytes[2 * kReadAhead];
  };

  template <int kWays>
  bool DecodeGroup(uint32_t s, uint32_t superblocks) {
    SegmentReader readers[kWays];
    typename TypePlanes::Merger mergers[kWays];
    uint8_t* to[kWays];
    alignas(64) uint32_t escapes[kWays][plane::kSteps];
    alignas(64) uint8_t last[TypePlanes::kElemBytes];
    for (int j = 0; j < kWays; ++j) Open(s + j, &readers[j]);
    const size_t segment = plane::SegmentElems(target_.chunk.shift);
    const size_t first = s * segment;
    const size_t elems = std::min(kWays * segment, target_.chunk.elems - first);
    auto* const out = reinterpret_cast<uint8_t*>(target_.dst) + first * kWidth;
    for (uint32_t b = 0; b < superblocks; ++b) {
      for (int j = 0; j < kWays; ++j) {
        if (!MakeReadable(&readers[j], &tails_[j])) return false;
        const size_t at = j * segment + b * plane::kSuperblock;
        to[j] = at + plane::kSuperblock <= elems ? out + at * kWidth : last;
        mergers[j] = {
            planes_,
            src_ + (first + at) / plane::kSuperblock * planes_.plane_bytes(),
            to[j]};
      }
      DecodeSteps<TypePlanes, kWays>(tables_, readers, mergers, escapes);
      for (int j = 0; j < kWays; ++j) {
        if (!PutEscapes(escapes[j], &readers[j], to[j])) return false;
        if (to[j] == last) {
          const size_t at = j * segment + b * plane::kSuperblock;
          CopyLast(last, elems - at, out + at * kWidth);
        }
      }
    }
    for (int j = 0; j < kWays; ++j) {
      if (!IsAtEnd(readers[j])) return false;
    }
    crc_ = Crc32(crc_, std::as_bytes(std::span(out, elems * kWidth)));
    return true;
  }

  void Open(uint32_t s, SegmentReader* reader) {
    const plane::Segment& segment = head_.segments[s];
    const uint8_t* const at = src_ + target_.chunk.raw_bytes + segment.offset;
    std::memcpy(reader->states, at, sizeof(reader->states));
    reader->next = at + plane::kStateBytes;
    reader->end = reader->next + segment.stream;
    reader->escape = reader->end;
    reader->escapes_end = reader->end + segment.escapes;
    reader->readable =
        src_ + target_.chunk.raw_bytes + target_.chunk.coded_bytes;
    for (const uint8_t* fill = reader->escapes_end; fill < at + segment.bytes();
         ++fill) {
      fillers_good_ = fillers_good_ && *fill == 0;
    }
  }

  // Makes sure that a superblock can be read without leaving the source. False
  // if the stream has been left.
  static bool MakeReadable(SegmentReader* reader, Tail* tail) {
    if (reader->next > reader->end) return false;
    const auto left = static_cast<size_t>(reader->readable - reader->next);
    if (left >= kReadAhead) return true;
    const auto bytes = static_cast<size_t>(reader->end - reader->next);
    std::memcpy(tail->bytes, reader->next, bytes);
    std::memset(tail->bytes + bytes, 0, sizeof(tail->bytes) - bytes);
    reader->next = tail->bytes;
    reader->end = tail->bytes + bytes;
    reader->readable = tail->bytes + sizeof(tail->bytes);
    return true;
  }

  // Gives elements that are escapes their symbols. False if there are fewer, or
  // one is no symbol.
  bool PutEscapes(const uint32_t* escapes, SegmentReader* reader,
                  uint8_t* elems) const {
    auto* const bytes = reinterpret_cast<std::byte*>(elems);
    for (uint32_t steps = StepsWithEscapes(escapes); steps != 0;
         steps &= steps - 1) {
      const auto step =
          static_cast<uint32_t>(hwy::Num0BitsBelowLS1Bit_Nonzero32(steps));
      uint32_t lanes = escapes[step];
      do {
        if (reader->escape == reader->escapes_end) return false;
        if (!plane::IsSymbol<kType>(*reader->escape)) return false;
        const size_t index = plane::ElemOf(
            kWidth, step,
            static_cast<uint32_t>(hwy::Num0BitsBelowLS1Bit_Nonzero32(lanes)));
        const uint64_t symbol = plane::TopOf<kType>(*reader->escape++);
        const uint64_t word = plane::Prepared<kType>(
            plane::LoadElem<kType>(bytes, index), head_.turn);
        plane::StoreElem<kType>(
            plane::Restored<kType>(word | symbol << 16 * TraitsOf(kType).rows,
                                   head_.turn),
            bytes, index);
        lanes &= lanes - 1;
      } while (HWY_UNLIKELY(lanes != 0));
    }
    return true;
  }

  // The last superblock of a chunk, of which only `elems` are elements: the
  // others have to repeat the last of them.
  void CopyLast(const uint8_t* all, size_t elems, uint8_t* dst) {
    std::memcpy(dst, all, elems * kWidth);
    for (size_t i = elems; i < plane::kSuperblock; ++i) {
      fillers_good_ =
          fillers_good_ && std::memcmp(all + i * kWidth,
                                       all + (elems - 1) * kWidth, kWidth) == 0;
    }
  }

  static bool IsAtEnd(const SegmentReader& reader) {
    bool good =
        reader.next == reader.end && reader.escape == reader.escapes_end;
    for (const uint16_t state : reader.states) {
      good = good && state == plane::kLeastState;
    }
    return good;
  }

  const PlaneTarget& target_;
  const plane::CodedHead& head_;
  const uint8_t* const src_;
  const TypePlanes planes_;
  const DecodeTables tables_;
  Tail tails_[kMostWays];
  uint32_t crc_ = 0;
  bool fillers_good_ = true;
};

PlaneVerdict DecodeWith(const PlaneTarget& target) {
  return WithPlanes(
      target.chunk.type, target.chunk.flags, [&](auto tag, auto is_const) {
        return Decoder<decltype(tag)::kType, is_const()>(target).Run();
      });
}

#else

PlaneVerdict DecodeWith(const PlaneTarget& target) {
  return DecodePlanesPlainly(target);
}

#endif  // CAISSON_PLANE_VECTORS

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(DecodeWith);

PlaneVerdict DecodePlanes(const PlaneTarget& target) {
  return HWY_DYNAMIC_DISPATCH(DecodeWith)(target);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
