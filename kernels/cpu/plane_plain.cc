// SPDX-License-Identifier: Apache-2.0
//
// The plane codec one element at a time, in the words of docs/codec.md.
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "caisson/crc32.h"
#include "kernels/cpu/plane_coder.h"
#include "kernels/plane/coder.h"
#include "kernels/plane/element_io.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/type_switch.h"

namespace caisson::cpu {
namespace {

using namespace plane;

uint8_t* Bytes(std::byte* at) { return reinterpret_cast<uint8_t*>(at); }
const uint8_t* Bytes(const std::byte* at) {
  return reinterpret_cast<const uint8_t*>(at);
}

void PutLittle16(uint32_t value, uint8_t* at) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

// Bits [at, at + count) of what a lane has in rows of `planes`: bit 16 m + b is
// bit b of its word in row m.
uint32_t TakeBits(const uint8_t* planes, uint32_t lane, uint32_t at,
                  uint32_t count) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t word = (at + i) / 16;
    const uint32_t bit = (at + i) % 16;
    bits |= (Little16(planes + word * kRowBytes + 2 * lane) >> bit & 1) << i;
  }
  return bits;
}

void PutBits(uint32_t bits, uint32_t lane, uint32_t at, uint32_t count,
             uint8_t* planes) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t word = (at + i) / 16;
    const uint32_t bit = (at + i) % 16;
    uint8_t* const to = planes + word * kRowBytes + 2 * lane;
    PutLittle16(Little16(to) | (bits >> i & 1) << bit, to);
  }
}

template <PlaneType kType>
class Encoder {
 public:
  Encoder(const PlaneSource& source, const EncodePlan& plan)
      : source_(source), plan_(plan) {
    std::fill_n(rows_, 256, kEscape);
    uint32_t start = 0;
    for (uint32_t i = 0; i < kRows; ++i) {
      starts_[i] = start;
      start += plan.model.freqs[i];
      if (i < kEscape && plan.model.freqs[i] > 0) {
        rows_[plan.model.symbols[i]] = i;
      }
    }
  }

  PlaneResult Run() {
    const uint32_t raw = PlaneRawBytes(kType, plan_.flags, source_.elems);
    uint8_t* const coded = Bytes(source_.dst) + raw;
    std::memset(source_.dst, 0, raw);
    const uint32_t room = source_.room - raw;
    if (room < kPlaneHeaderBytes) return result_;
    WriteHead(plan_, kType, coded);
    uint32_t used = kPlaneHeaderBytes;
    const uint32_t segments = SegmentCount(source_.elems, source_.shift);
    bool fits = true;
    for (uint32_t s = 0; s < segments; ++s) {
      EncodeSegment(s);
      const Segment segment = {used, static_cast<uint32_t>(stream_.size()),
                               static_cast<uint32_t>(escapes_.size())};
      fits = fits && segment.bytes() <= room - used;
      if (!fits) continue;
      PutLittle16(segment.stream, coded + kSegmentsAt + 4 * s);
      PutLittle16(segment.escapes, coded + kSegmentsAt + 4 * s + 2);
      uint8_t* at = coded + used;
      std::memset(at, 0, segment.bytes());
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        PutLittle16(states_[lane], at + 2 * lane);
      }
      at = std::copy(stream_.rbegin(), stream_.rend(), at + kStateBytes);
      std::copy(escapes_.begin(), escapes_.end(), at);
      used += segment.bytes();
    }
    if (fits) result_.coded_bytes = used;
    return result_;
  }

 private:
  uint64_t Word(uint32_t index) {
    const uint64_t elem =
        LoadElem<kType>(source_.src, std::min(index, source_.elems - 1));
    const uint64_t word = Prepared<kType>(elem, plan_.turn);
    result_.differing |= word ^ plan_.first;
    result_.has_symbols = result_.has_symbols && HasSymbol<kType>(word);
    return word;
  }

  void EncodeSegment(uint32_t s) {
    const uint32_t superblocks =
        SegmentSuperblocks(source_.elems, source_.shift, s);
    const uint32_t first = s * SegmentElems(source_.shift);
    symbols_.clear();
    escapes_.clear();
    for (uint32_t b = 0; b < superblocks; ++b) {
      WriteSuperblock(first + b * kSuperblock);
    }
    stream_.clear();
    std::fill_n(states_, kLanes, kLeastState);
    for (size_t i = symbols_.size(); i-- > 0;) {
      const uint32_t row = rows_[symbols_[i]];
      const uint32_t freq = plan_.model.freqs[row];
      uint32_t& state = states_[i % kLanes];
      if (GivesByte(state, freq)) {
        stream_.push_back(static_cast<uint8_t>(state));
        state >>= 8;
      }
      state = Pushed(state, freq, starts_[row]);
    }
  }

  void WriteSuperblock(uint32_t first) {
    const uint32_t head_bits = HeadBits(kType, plan_.flags);
    uint8_t* const planes =
        Bytes(source_.dst) +
        first / kSuperblock * SuperblockBytes(kType, plan_.flags);
    uint8_t* row = planes + head_bits * kRowBytes;
    for (uint32_t step = 0; step < kSteps; ++step) {
      uint64_t words[kLanes];
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        words[lane] = Word(first + ElemOf(TraitsOf(kType).width, step, lane));
        const Parts parts = TakenApart<kType>(words[lane]);
        PutBits(parts.head, lane, step * head_bits, head_bits, planes);
        symbols_.push_back(static_cast<uint8_t>(parts.symbol));
        if (rows_[parts.symbol] == kEscape) {
          escapes_.push_back(static_cast<uint8_t>(parts.symbol));
        }
      }
      for (uint32_t j = 0; j < TraitsOf(kType).rows; ++j) {
        if (plan_.flags & (kPlaneRow0Const << j)) continue;
        for (uint32_t lane = 0; lane < kLanes; ++lane) {
          PutLittle16(words[lane] >> 16 * j & 0xFFFF, row + 2 * lane);
        }
        row += kRowBytes;
      }
    }
  }

  const PlaneSource& source_;
  const EncodePlan& plan_;
  PlaneResult result_;
  uint32_t rows_[256];
  uint32_t starts_[kRows];
  uint32_t states_[kLanes];
  std::vector<uint8_t> symbols_;  // of a segment
  std::vector<uint8_t> escapes_;
  std::vector<uint8_t> stream_;  // last byte first
};

template <PlaneType kType>
class Decoder {
 public:
  explicit Decoder(const PlaneTarget& target)
      : target_(target), head_(*target.head) {
    for (uint32_t i = 0; i < kRows; ++i) {
      for (uint32_t at = 0; at < head_.model.freqs[i]; ++at) {
        slots_[head_.starts[i] + at] = {head_.model.freqs[i],
                                        static_cast<uint8_t>(at),
                                        static_cast<uint8_t>(i), 0};
      }
    }
  }

  PlaneVerdict Run() {
    PlaneVerdict verdict;
    bool good = true;
    for (uint32_t s = 0; s < head_.segment_count; ++s) {
      good = DecodeSegment(s) && good;
    }
    if (!good) {
      verdict.fault = PlaneFault::kStream;
    } else if (!fillers_good_) {
      verdict.fault = PlaneFault::kFiller;
    } else {
      verdict.crc32 =
          Crc32(0, std::span(target_.dst, size_t{target_.chunk.elems} *
                                              TraitsOf(kType).width));
    }
    return verdict;
  }

 private:
  bool DecodeSegment(uint32_t s) {
    const Segment& segment = head_.segments[s];
    const uint8_t* const coded =
        Bytes(target_.src) + target_.chunk.raw_bytes + segment.offset;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      states_[lane] = Little16(coded + 2 * lane);
    }
    stream_ = {coded + kStateBytes, segment.stream};
    escapes_ = {coded + kStateBytes + segment.stream, segment.escapes};
    for (uint32_t i = segment.used(); i < segment.bytes(); ++i) {
      fillers_good_ = fillers_good_ && coded[i] == 0;
    }
    const uint32_t first = s * SegmentElems(target_.chunk.shift);
    const uint32_t superblocks =
        SegmentSuperblocks(target_.chunk.elems, target_.chunk.shift, s);
    for (uint32_t b = 0; b < superblocks; ++b) {
      if (!DecodeSuperblock(first + b * kSuperblock)) return false;
    }
    return stream_.empty() && escapes_.empty() &&
           std::all_of(states_, states_ + kLanes,
                       [](uint32_t state) { return state == kLeastState; });
  }

  static bool Take(std::span<const uint8_t>* bytes, uint32_t* byte) {
    if (bytes->empty()) return false;
    *byte = bytes->front();
    *bytes = bytes->subspan(1);
    return true;
  }

  bool TakeSymbol(uint32_t lane, uint32_t* symbol) {
    uint32_t& state = states_[lane];
    const Slot slot = slots_[state % kSlots];
    state = Advanced(state, slot);
    if (state < kLeastState) {
      uint32_t byte;
      if (!Take(&stream_, &byte)) return false;
      state = state << 8 | byte;
    }
    *symbol = head_.model.symbols[slot.row];
    if (slot.row != kEscape) return true;
    return Take(&escapes_, symbol) && IsSymbol<kType>(*symbol);
  }

  bool DecodeSuperblock(uint32_t first) {
    const uint8_t flags = target_.chunk.flags;
    const uint32_t head_bits = HeadBits(kType, flags);
    const uint8_t* const planes =
        Bytes(target_.src) +
        first / kSuperblock * SuperblockBytes(kType, flags);
    const uint8_t* row = planes + head_bits * kRowBytes;
    const uint64_t head_const = uint64_t{head_.head_const} << head_bits;
    for (uint32_t step = 0; step < kSteps; ++step) {
      uint64_t words[kLanes];
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        uint32_t symbol;
        if (!TakeSymbol(lane, &symbol)) return false;
        const auto head = static_cast<uint32_t>(
            TakeBits(planes, lane, step * head_bits, head_bits) | head_const);
        words[lane] = uint64_t{TopOf<kType>(symbol) | TopOfHead<kType>(head)}
                          << 16 * TraitsOf(kType).rows |
                      head_.consts;
      }
      for (uint32_t j = 0; j < TraitsOf(kType).rows; ++j) {
        if (flags & (kPlaneRow0Const << j)) continue;
        for (uint32_t lane = 0; lane < kLanes; ++lane) {
          words[lane] |= uint64_t{Little16(row + 2 * lane)} << 16 * j;
        }
        row += kRowBytes;
      }
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        Store(words[lane], first + ElemOf(TraitsOf(kType).width, step, lane));
      }
    }
    CheckFillers();
    return true;
  }

  // Elements past the end are kept, to see that they repeat the last.
  void Store(uint64_t word, uint32_t index) {
    const uint64_t elem = Restored<kType>(word, head_.turn);
    if (index < target_.chunk.elems) {
      StoreElem<kType>(elem, target_.dst, index);
    } else {
      fillers_.push_back(elem);
    }
  }

  void CheckFillers() {
    for (const uint64_t elem : fillers_) {
      fillers_good_ =
          fillers_good_ &&
          elem == LoadElem<kType>(target_.dst, target_.chunk.elems - 1);
    }
    fillers_.clear();
  }

  const PlaneTarget& target_;
  const CodedHead& head_;
  Slot slots_[kSlots];
  uint32_t states_[kLanes];
  std::span<const uint8_t> stream_;
  std::span<const uint8_t> escapes_;
  std::vector<uint64_t> fillers_;
  bool fillers_good_ = true;
};

}  // namespace

PlaneResult EncodePlanesPlainly(const PlaneSource& source,
                                const EncodePlan& plan) {
  return WithPlaneType(source.type, [&](auto tag) {
    return Encoder<decltype(tag)::kType>(source, plan).Run();
  });
}

PlaneVerdict DecodePlanesPlainly(const PlaneTarget& target) {
  return WithPlaneType(target.chunk.type, [&](auto tag) {
    return Decoder<decltype(tag)::kType>(target).Run();
  });
}

}  // namespace caisson::cpu
