// SPDX-License-Identifier: Apache-2.0
//
// The coder of the plane codec for vectors that look up bytes within blocks of
// 16: the states of a segment are two vectors or four, and a table is as many
// registers as it has times 16 entries. Bytes of the stream are spread to the
// lanes that take them, and gathered from those that give them, by one shuffle
// for 8 lanes, whose order comes from a table of all masks.
//
// Included by plane_segments-inl.h, once for each target.

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What an escape has for its top until it is found: no symbol of any type gives
// all of these bits.
inline constexpr uint16_t kTopOfEscape = 0xFFFF;

class Coder {
 private:
  using D = hn::CappedTag<uint16_t, 16>;
  using D8 = hn::Repartition<uint8_t, D>;
  using D8i = hn::RebindToSigned<D8>;
  using V = hn::Vec<D>;
  using V8 = hn::Vec<D8>;
  using Half = hn::FixedTag<uint16_t, 8>;
  using Half8 = hn::FixedTag<uint8_t, 16>;

  static constexpr size_t kLanesOf =
      HWY_LANES(uint16_t) < 16 ? HWY_LANES(uint16_t) : 16;
  static constexpr size_t kVectors = plane::kLanes / kLanesOf;

 public:
  // Bytes of `yes` where the upper bit of `bits` is set, else of `no`.
  static HWY_INLINE V8 Choose(V8 bits, V8 yes, V8 no) {
    auto mask = hn::BitCast(D8i(), bits);
#if HWY_TARGET == HWY_SSSE3  // whose IfNegativeThenElse wants whole bytes
    mask = hn::BroadcastSignBit(mask);
#endif
    return hn::BitCast(D8(),
                       hn::IfNegativeThenElse(mask, hn::BitCast(D8i(), yes),
                                              hn::BitCast(D8i(), no)));
  }

  // A table of 32 bytes for rows.
  class RowTable {
   public:
    explicit RowTable(const uint16_t* values, int shift = 0) {
      alignas(16) uint8_t bytes[32];
      for (size_t i = 0; i < 32; ++i) {
        bytes[i] = static_cast<uint8_t>(values[i] >> shift);
      }
      low_ = hn::LoadDup128(D8(), bytes);
      high_ = hn::LoadDup128(D8(), bytes + 16);
    }

    // REQUIRES: row == low | 16 where upper is set.
    HWY_INLINE V8 At(V8 low, V8 upper) const {
      return Choose(upper, hn::TableLookupBytes(high_, low),
                    hn::TableLookupBytes(low_, low));
    }

   private:
    V8 low_;
    V8 high_;
  };

  // `table` at bytes whose upper bit is ignored: 128 entries. Three bits of
  // the index choose among eight lookups.
  static HWY_INLINE V8 At128(const uint8_t* table, V8 index) {
    const D8 d8;
    const V8 low = hn::And(index, hn::Set(d8, 15));
    const auto at = [&](size_t i) CAISSON_PLANE_LAMBDA {
      return hn::TableLookupBytes(hn::LoadDup128(d8, table + 16 * i), low);
    };
    const V8 bit6 = hn::Add(index, index);
    const V8 bit5 = hn::Add(bit6, bit6);
    const V8 bit4 = hn::Add(bit5, bit5);
    const auto pair = [&](size_t i)
                          HWY_ATTR { return Choose(bit4, at(i + 1), at(i)); };
    return Choose(bit6, Choose(bit5, pair(6), pair(4)),
                  Choose(bit5, pair(2), pair(0)));
  }

  // Bytes of lanes of two vectors, in one: lane i of `a` is byte 2 i.
  static HWY_INLINE V8 Packed(V a, V b) {
    return hn::BitCast(D8(), hn::Or(a, hn::ShiftLeft<8>(b)));
  }
  static HWY_INLINE V First(V8 packed) {
    return hn::And(hn::BitCast(D(), packed), hn::Set(D(), 0xFF));
  }
  static HWY_INLINE V Second(V8 packed) {
    return hn::ShiftRight<8>(hn::BitCast(D(), packed));
  }

  static HWY_INLINE uint32_t Bits(hn::Mask<D> mask) {
    uint8_t bits[8] = {};
    hn::StoreMaskBits(D(), mask, bits);
    return bits[0] | bits[1] << 8;
  }

  // Which byte of the stream each of 8 lanes takes; upper bytes are zeros.
  struct SpreadTable {
    alignas(16) uint8_t of[256][16];
  };
  static constexpr SpreadTable MakeSpread() {
    SpreadTable table = {};
    for (uint32_t mask = 0; mask < 256; ++mask) {
      uint8_t rank = 0;
      for (uint32_t lane = 0; lane < 8; ++lane) {
        const bool takes = mask >> lane & 1;
        table.of[mask][2 * lane] = takes ? rank++ : 0x80;
        table.of[mask][2 * lane + 1] = 0x80;
      }
    }
    return table;
  }

  // Which of 8 lanes gives each of the 8 bytes before the stream: those that
  // do are the last.
  struct GatherTable {
    alignas(16) uint8_t of[256][16];
  };
  static constexpr GatherTable MakeGather() {
    GatherTable table = {};
    for (uint32_t mask = 0; mask < 256; ++mask) {
      uint32_t at = 8;
      for (uint32_t lane = 8; lane-- > 0;) {
        if (mask >> lane & 1) {
          table.of[mask][--at] = static_cast<uint8_t>(2 * lane);
        }
      }
    }
    return table;
  }

  static HWY_INLINE hn::Vec<Half> Spread(uint32_t mask, const uint8_t* next) {
    static constexpr SpreadTable kSpread = MakeSpread();
    const Half8 d;
    return hn::BitCast(Half(),
                       hn::TableLookupBytesOr0(hn::LoadU(d, next),
                                               hn::Load(d, kSpread.of[mask])));
  }

  static HWY_INLINE void Gather(uint32_t mask, hn::Vec<Half> lanes,
                                uint8_t* stream) {
    static constexpr GatherTable kGather = MakeGather();
    const Half8 d;
    const auto bytes = hn::TableLookupBytes(hn::BitCast(d, lanes),
                                            hn::Load(d, kGather.of[mask]));
    hn::StoreU(hn::LowerHalf(bytes), hn::FixedTag<uint8_t, 8>(), stream - 8);
  }

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  static HWY_INLINE V Taken(uint32_t mask, const uint8_t*& next) {
    const auto low = Spread(mask & 255, next);
    next += hwy::PopCount(mask & 255);
    const auto high = Spread(mask >> 8, next);
    next += hwy::PopCount(mask >> 8);
    return hn::Combine(D(), high, low);
  }
  static HWY_INLINE void Give(uint32_t mask, V lanes, uint8_t*& stream) {
    Gather(mask >> 8, hn::UpperHalf(Half(), lanes), stream);
    stream -= hwy::PopCount(mask >> 8);
    Gather(mask & 255, hn::LowerHalf(Half(), lanes), stream);
    stream -= hwy::PopCount(mask & 255);
  }
#else
  static HWY_INLINE V Taken(uint32_t mask, const uint8_t*& next) {
    const auto taken = Spread(mask, next);
    next += hwy::PopCount(mask);
    return taken;
  }
  static HWY_INLINE void Give(uint32_t mask, V lanes, uint8_t*& stream) {
    Gather(mask, lanes, stream);
    stream -= hwy::PopCount(mask);
  }
#endif

  // Of two vectors' bytes which are rows: what every lookup starts from.
  struct Rows {
    V8 low;
    V8 upper;
  };
  static HWY_INLINE Rows RowsOf(V8 row) {
    const V8 twice = hn::Add(row, row);
    const V8 four_times = hn::Add(twice, twice);
    return {hn::And(row, hn::Set(D8(), 15)), hn::Add(four_times, four_times)};
  }

  static constexpr size_t vectors() { return kVectors; }
  static constexpr size_t lanes() { return kLanesOf; }
};

// One step of a segment of which `x` are the states.
struct DecodeStep {
  explicit DecodeStep(const DecodeTables& from)
      : tables(from),
        freqs(from.freqs),
        starts(from.starts),
        top_low(from.tops),
        top_high(from.tops, 8) {}

  const DecodeTables& tables;
  const Coder::RowTable freqs;
  const Coder::RowTable starts;
  const Coder::RowTable top_low;
  const Coder::RowTable top_high;

  HWY_INLINE void Run(uint16_t* states, const uint8_t*& next,
                      uint16_t* lanes) const {
    const hn::CappedTag<uint16_t, 16> d;
    constexpr size_t kStep = Coder::lanes();
    for (size_t i = 0; i < Coder::vectors(); i += 2) {
      uint16_t* const at = states + i * kStep;
      const auto x0 = hn::Load(d, at);
      const auto x1 = hn::Load(d, at + kStep);
      const auto mask = hn::Set(d, plane::kSlots - 1);
      const auto slot = Coder::Packed(hn::And(x0, mask), hn::And(x1, mask));
      const auto rows = Coder::RowsOf(Coder::At128(tables.rows, slot));
      const auto freq = freqs.At(rows.low, rows.upper);
      const auto offset = hn::Sub(slot, starts.At(rows.low, rows.upper));
      const auto low = top_low.At(rows.low, rows.upper);
      const auto high = top_high.At(rows.low, rows.upper);
      Advance(x0, Coder::First(freq), Coder::First(offset), at, next);
      Advance(x1, Coder::Second(freq), Coder::Second(offset), at + kStep, next);
      hn::Store(hn::Or(Coder::First(low), hn::ShiftLeft<8>(Coder::First(high))),
                d, lanes + i * kStep);
      hn::Store(
          hn::Or(Coder::Second(low), hn::ShiftLeft<8>(Coder::Second(high))), d,
          lanes + (i + 1) * kStep);
    }
  }

 private:
  template <class V>
  static HWY_INLINE void Advance(V x, V freq, V offset, uint16_t* state,
                                 const uint8_t*& next) {
    const hn::CappedTag<uint16_t, 16> d;
    const auto y = hn::Add(hn::Mul(freq, hn::ShiftRight<7>(x)), offset);
    const auto takes =
        hn::Eq(hn::ShiftRight<8>(y), hn::Zero(d));  // y < kLeastState
    const auto taken = Coder::Taken(Coder::Bits(takes), next);
    hn::Store(hn::IfThenElse(takes, hn::Or(hn::ShiftLeft<8>(y), taken), y), d,
              state);
  }
};

inline uint32_t EscapesOf(const uint16_t* lanes, uint16_t value) {
  const hn::CappedTag<uint16_t, 16> d;
  uint32_t bits = 0;
  for (size_t i = 0; i < Coder::vectors(); ++i) {
    const size_t at = i * Coder::lanes();
    bits |= Coder::Bits(hn::Eq(hn::Load(d, lanes + at), hn::Set(d, value)))
            << at;
  }
  return bits;
}

// Decodes a superblock of each of kWays segments into tops: 0 for escapes, of
// which escapes[way][step] says which they are.
template <int kWays>
HWY_NOINLINE void DecodeTops(const DecodeTables& tables, SegmentReader* readers,
                             Superblock* blocks,
                             uint32_t (*escapes)[plane::kSteps]) {
  const DecodeStep one(tables);
  const uint8_t* next[kWays];
  for (int j = 0; j < kWays; ++j) next[j] = readers[j].next;
  for (uint32_t step = 0; step < plane::kSteps; ++step) {
    for (int j = 0; j < kWays; ++j) {
      one.Run(readers[j].states, next[j], blocks[j].lanes[step]);
    }
  }
  for (int j = 0; j < kWays; ++j) {
    readers[j].next = next[j];
    for (uint32_t step = 0; step < plane::kSteps; ++step) {
      uint16_t* const lanes = blocks[j].lanes[step];
      uint32_t found = EscapesOf(lanes, kTopOfEscape);
      escapes[j][step] = found;
      for (; HWY_UNLIKELY(found != 0); found &= found - 1) {
        lanes[hwy::Num0BitsBelowLS1Bit_Nonzero32(found)] = 0;
      }
    }
  }
}

// The same, and merges them. Steps take longer than the merging here, and one
// function of steps serves all types.
template <class AnyPlanes, int kWays>
void DecodeSteps(const DecodeTables& tables, SegmentReader* readers,
                 typename AnyPlanes::Merger* mergers,
                 uint32_t (*escapes)[plane::kSteps]) {
  Superblock blocks[kWays];
  DecodeTops<kWays>(tables, readers, blocks, escapes);
  for (int j = 0; j < kWays; ++j) mergers[j].Merge(blocks[j]);
}

// One step back of a segment.
struct EncodeStep {
  explicit EncodeStep(const EncodeTables& from)
      : tables(from),
        freqs(from.freqs),
        starts(from.starts),
        inverse_low(from.inverses),
        inverse_high(from.inverses, 8) {}

  const EncodeTables& tables;
  const Coder::RowTable freqs;
  const Coder::RowTable starts;
  const Coder::RowTable inverse_low;
  const Coder::RowTable inverse_high;

  // Returns which lanes are escapes.
  HWY_INLINE uint32_t Run(uint16_t* states, uint8_t*& stream,
                          const uint16_t* lanes) const {
    const hn::CappedTag<uint16_t, 16> d;
    constexpr size_t kStep = Coder::lanes();
    uint32_t escapes = 0;
    for (size_t i = Coder::vectors(); i > 0; i -= 2) {
      const size_t at0 = (i - 2) * kStep;
      const size_t at1 = (i - 1) * kStep;
      const auto symbol =
          Coder::Packed(hn::Load(d, lanes + at0), hn::Load(d, lanes + at1));
      const auto row =
          Coder::Choose(symbol, Coder::At128(tables.rows + 128, symbol),
                        Coder::At128(tables.rows, symbol));
      const auto escape = hn::Set(d, plane::kEscape);
      escapes |= Coder::Bits(hn::Eq(Coder::First(row), escape)) << at0;
      escapes |= Coder::Bits(hn::Eq(Coder::Second(row), escape)) << at1;
      const auto rows = Coder::RowsOf(row);
      const auto freq = freqs.At(rows.low, rows.upper);
      const auto start = starts.At(rows.low, rows.upper);
      const auto low = inverse_low.At(rows.low, rows.upper);
      const auto high = inverse_high.At(rows.low, rows.upper);
      Push(Coder::Second(freq), Coder::Second(start),
           hn::Or(Coder::Second(low), hn::ShiftLeft<8>(Coder::Second(high))),
           states + at1, stream);
      Push(Coder::First(freq), Coder::First(start),
           hn::Or(Coder::First(low), hn::ShiftLeft<8>(Coder::First(high))),
           states + at0, stream);
    }
    return escapes;
  }

 private:
  template <class V>
  static HWY_INLINE void Push(V freq, V start, V inverse, uint16_t* state,
                              uint8_t*& stream) {
    const hn::CappedTag<uint16_t, 16> d;
    const auto x = hn::Load(d, state);
    const auto high = hn::ShiftRight<8>(x);
    // Below 256 either way, so a saturated difference tells.
    const auto gives =
        hn::Eq(hn::SaturatedSub(hn::Add(freq, freq), high), hn::Zero(d));
    Coder::Give(Coder::Bits(gives), x, stream);
    const auto smaller = hn::IfThenElse(gives, high, x);
    // The quotient, or one less: x < 512 f, and 65535 / f loses less than 1.
    const auto quotient = hn::MulHigh(smaller, inverse);
    const auto remainder = hn::Sub(smaller, hn::Mul(quotient, freq));
    const auto less = hn::Eq(hn::SaturatedSub(freq, remainder), hn::Zero(d));
    const auto pushed =
        hn::Add(hn::Add(hn::ShiftLeft<7>(quotient), remainder), start);
    const auto rest = hn::Sub(hn::Set(d, plane::kSlots), freq);
    hn::Store(hn::Add(pushed, hn::IfThenElseZero(less, rest)), d, state);
  }
};

template <int kWays>
HWY_NOINLINE void EncodeSteps(const EncodeTables& tables,
                              SegmentWriter* writers, Superblock* blocks) {
  const EncodeStep one(tables);
  uint8_t* stream[kWays];
  for (int j = 0; j < kWays; ++j) stream[j] = writers[j].stream;
  for (uint32_t step = plane::kSteps; step-- > 0;) {
    for (int j = 0; j < kWays; ++j) {
      blocks[j].escapes[step] =
          one.Run(writers[j].states, stream[j], blocks[j].lanes[step]);
    }
  }
  for (int j = 0; j < kWays; ++j) writers[j].stream = stream[j];
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
