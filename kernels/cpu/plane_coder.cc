// SPDX-License-Identifier: Apache-2.0
//
// Runs the coder and the planes over the segments of a chunk, four at a time:
// each superblock of four segments is decoded into L1 and merged from there, or
// split into L1 and encoded from there, the last superblock first.
#include "kernels/cpu/plane_coder.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>
#include <utility>

#include "caisson/crc32.h"
#include "kernels/cpu/plane_tables.h"
#include "kernels/cpu/stream_copy.h"
#include "kernels/plane/element_io.h"
#include "kernels/plane/type_switch.h"

// Lambdas that are called once for each step have to be part of their loop:
// what they capture would be loaded again after every store. Sanitizers make so
// much of the result that compilers take many minutes; with them it is left
// alone, and fewer segments go side by side.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAISSON_PLANE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAISSON_PLANE_SANITIZED 1
#endif
#endif
#if defined(CAISSON_PLANE_SANITIZED)
#define CAISSON_PLANE_LAMBDA HWY_ATTR
#define CAISSON_PLANE_WAYS 2
#else
#define CAISSON_PLANE_LAMBDA HWY_ATTR __attribute__((always_inline))
#define CAISSON_PLANE_WAYS 4
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/plane_coder.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// Vectors of one byte cannot shuffle, and those of unknown length do not fit
// what is written here.
#undef CAISSON_PLANE_VECTORS
#if HWY_TARGET == HWY_SCALAR || HWY_HAVE_SCALABLE || HWY_IS_BIG_ENDIAN
#define CAISSON_PLANE_VECTORS 0
#else
#define CAISSON_PLANE_VECTORS 1
#include "kernels/cpu/plane_planes-inl.h"
#if HWY_TARGET == HWY_AVX3_DL
#include "kernels/cpu/plane_lanes_avx3_dl-inl.h"
#else
#include "kernels/cpu/plane_lanes-inl.h"
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

#if CAISSON_PLANE_VECTORS

constexpr int kMostWays = CAISSON_PLANE_WAYS;

// Calls fn(first segment, ways, superblocks) for groups of segments that are
// equally long; ways is a constant: kMostWays, 2 or 1.
template <typename Fn>
bool ForGroups(uint32_t elems, uint8_t shift, const Fn& fn) {
  const uint32_t whole = elems / plane::SegmentElems(shift);
  const uint32_t count = plane::SegmentCount(elems, shift);
  uint32_t s = 0;
  bool good = true;
  while (good && s < count) {
    const uint32_t superblocks = plane::SegmentSuperblocks(elems, shift, s);
    const uint32_t alike = s < whole ? whole - s : 1;
    if (alike >= kMostWays) {
      good = fn(s, std::integral_constant<int, kMostWays>(), superblocks);
      s += kMostWays;
    } else if (alike >= 2) {
      good = fn(s, std::integral_constant<int, 2>(), superblocks);
      s += 2;
    } else {
      good = fn(s, std::integral_constant<int, 1>(), superblocks);
      s += 1;
    }
  }
  return good;
}

// Bit i: step i has one.
HWY_INLINE uint32_t StepsWithEscapes(const uint32_t* escapes) {
  const hn::CappedTag<uint32_t, plane::kSteps> d;
  uint32_t steps = 0;
  for (size_t i = 0; i < plane::kSteps; i += hn::Lanes(d)) {
    uint8_t bits[8] = {};
    const auto lanes = hn::Load(d, escapes + i);
    hn::StoreMaskBits(d, hn::Ne(lanes, hn::Zero(d)), bits);
    steps |= uint32_t{bits[0]} << i;
    if (hn::Lanes(d) > 8) steps |= uint32_t{bits[1]} << (i + 8);
  }
  return steps;
}

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
    std::byte* const dst = target_.dst + first * kWidth;
    auto* const out =
        reinterpret_cast<uint8_t*>(target_.streams ? target_.scratch : dst);
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
    Finish(out, dst, elems * kWidth);
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

  // Takes the CRC of a group, and brings it to its place if it is not there.
  void Finish(const uint8_t* out, std::byte* dst, size_t bytes) {
    const auto* const src = reinterpret_cast<const std::byte*>(out);
    if (!target_.streams) {
      crc_ = Crc32(crc_, std::span(src, bytes));
      return;
    }
    constexpr size_t kBlock = 4096;
    for (size_t at = 0; at < bytes; at += kBlock) {
      const size_t size = std::min(kBlock, bytes - at);
      crc_ = Crc32(crc_, std::span(src + at, size));
      StreamCopy(src + at, dst + at, size);
    }
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
    const uint8_t* const next = NextGroup(first + kWays * segment);
    for (uint32_t b = superblocks; b-- > 0;) {
      for (int j = 0; j < kWays; ++j) {
        const size_t at = j * segment + b * plane::kSuperblock;
        Prefetch(next, at * kWidth);
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

  // Where what is encoded after this group begins; null if nothing is.
  const uint8_t* NextGroup(size_t elem) const {
    if (elem < source_.elems) return src_ + elem * kWidth;
    return reinterpret_cast<const uint8_t*>(source_.ahead);
  }

  // Superblocks are taken backwards from four places, which the hardware's
  // prefetcher does not follow.
  static void Prefetch(const uint8_t* next, size_t at) {
    if (next == nullptr) return;
    for (size_t line = 0; line < TypePlanes::kElemBytes; line += 64) {
#if defined(__GNUC__)
      __builtin_prefetch(next + at + line, 0, 2);
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

// fn(TypeTag, whether the head is constant, as a constant).
template <typename Fn>
auto WithPlanes(PlaneType type, uint8_t flags, const Fn& fn) {
  return plane::WithPlaneType(type, [&](auto tag) {
    if (flags & kPlaneHeadConst) return fn(tag, std::true_type());
    return fn(tag, std::false_type());
  });
}

PlaneResult EncodeWith(const PlaneSource& source,
                       const plane::EncodePlan& plan) {
  return WithPlanes(source.type, plan.flags, [&](auto tag, auto is_const) {
    return Encoder<decltype(tag)::kType, is_const()>(source, plan).Run();
  });
}

PlaneVerdict DecodeWith(const PlaneTarget& target) {
  return WithPlanes(
      target.chunk.type, target.chunk.flags, [&](auto tag, auto is_const) {
        return Decoder<decltype(tag)::kType, is_const()>(target).Run();
      });
}

#else

PlaneResult EncodeWith(const PlaneSource& source,
                       const plane::EncodePlan& plan) {
  return EncodePlanesPlainly(source, plan);
}

PlaneVerdict DecodeWith(const PlaneTarget& target) {
  return DecodePlanesPlainly(target);
}

#endif  // CAISSON_PLANE_VECTORS

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(EncodeWith);
HWY_EXPORT(DecodeWith);

// Four segments being written: a stream has at most a byte for each element,
// and so have its escapes.
size_t PlaneEncodeScratch(PlaneType, uint8_t shift) {
  return 4 * (2 * size_t{plane::SegmentElems(shift)} + 2 * kWriteSlack);
}

// Four segments of elements.
size_t PlaneDecodeScratch(PlaneType type, uint8_t shift) {
  return 4 * size_t{plane::SegmentElems(shift)} * TraitsOf(type).width;
}

PlaneResult EncodePlanes(const PlaneSource& source,
                         const plane::EncodePlan& plan) {
  return HWY_DYNAMIC_DISPATCH(EncodeWith)(source, plan);
}

PlaneVerdict DecodePlanes(const PlaneTarget& target) {
  return HWY_DYNAMIC_DISPATCH(DecodeWith)(target);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
