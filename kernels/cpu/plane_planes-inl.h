// SPDX-License-Identifier: Apache-2.0
//
// Planes of the plane codec, a superblock at a time: elements to symbols and
// planes, tops and planes to elements. A row of 32 words is one vector or
// several, and rows become elements by interleaving within blocks of 16 bytes,
// which vectors of every length do alike; lanes are ordered so that this leaves
// elements in their place.
//
// Included by plane_segments-inl.h, once for each target.

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls fn with constants from 0 on.
template <uint32_t kCount, typename Fn>
HWY_INLINE void ForConstants(const Fn& fn) {
  [&]<uint32_t... kIndex>(std::integer_sequence<uint32_t, kIndex...>)
      CAISSON_PLANE_LAMBDA {
    (fn(std::integral_constant<uint32_t, kIndex>()), ...);
  }
  (std::make_integer_sequence<uint32_t, kCount>());
}

// A row of step 0, and how far the row of the next step is: 0 for a constant.
struct RowSource {
  const uint8_t* at;
  size_t stride;
};

// What elements that were split have in common.
struct SplitSums {
  alignas(64) uint8_t differing[64] = {};    // bits, element by element
  alignas(64) uint16_t symbolless[32] = {};  // not 0: a float64 has no symbol

  // The first, of elements of `width` bytes.
  uint64_t Differing(size_t width) const {
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(differing); ++i) {
      bits |= uint64_t{differing[i]} << 8 * (i % width);
    }
    return bits;
  }
  bool HaveSymbols() const {
    return std::all_of(std::begin(symbolless), std::end(symbolless),
                       [](uint16_t lane) { return lane == 0; });
  }
};

// Positive: to the left.
template <int kBits, class V>
HWY_INLINE V Shifted(V v) {
  if constexpr (kBits > 0) return hn::ShiftLeft<kBits>(v);
  if constexpr (kBits < 0) return hn::ShiftRight<-kBits>(v);
  return v;
}

template <PlaneType kType, bool kHeadConst>
class Planes {
 private:
  using D = hn::CappedTag<uint16_t, plane::kLanes>;
  using D8 = hn::Repartition<uint8_t, D>;
  using D32 = hn::Repartition<uint32_t, D>;
  using D64 = hn::Repartition<uint64_t, D>;
  using D16i = hn::RebindToSigned<D>;
  using D32i = hn::RebindToSigned<D32>;
  using V = hn::Vec<D>;

  static constexpr PlaneTraits kTraits = TraitsOf(kType);
  static constexpr uint32_t kWidth = kTraits.width;
  static constexpr int kBits = 8 * kTraits.width;
  static constexpr bool kInteger = kTraits.is_integer;
  static constexpr int kHeadBits =
      kTraits.head_bits - (kHeadConst ? kTraits.const_bits : 0);
  // Of a float: its mantissa in a head, and where a top has its sign.
  static constexpr bool kFloat = !kInteger && kTraits.head_bits > 0;
  static constexpr int kMantissa = kFloat ? kTraits.head_bits - 1 : 0;
  static constexpr int kSignAt = kWidth == 1 ? 7 : 15;
  static constexpr int kSymbolIn =  // a top
      static_cast<int>(plane::kSymbolAt<kType>) - 16 * kTraits.rows;
  static constexpr size_t kLanesOf =
      HWY_LANES(uint16_t) < plane::kLanes ? HWY_LANES(uint16_t) : plane::kLanes;
  static constexpr size_t kVectors = plane::kLanes / kLanesOf;
  static constexpr size_t kVectorBytes = 2 * kLanesOf;
  static constexpr uint32_t kStepBytes = plane::kLanes * kWidth;

 public:
  static constexpr size_t kElemBytes = plane::kSuperblock * kWidth;

  Planes(uint8_t flags, uint64_t consts, uint32_t head_const, uint32_t turn)
      : plane_bytes_(plane::SuperblockBytes(kType, flags)),
        flags_(flags),
        zigzag_((turn & plane::kZigzag) != 0),
        rotate_(static_cast<int>(8 * plane::RotatedBytes(turn))),
        const_top_(static_cast<uint16_t>(!kHeadConst ? 0u
                                         : kInteger  ? head_const
                                                     : head_const << kSignAt)) {
    for (uint32_t j = 0; j < 3; ++j) {
      std::fill_n(const_rows_[j], plane::kLanes,
                  static_cast<uint16_t>(consts >> 16 * j));
    }
  }

  size_t plane_bytes() const { return plane_bytes_; }

  // Elements from tops and the planes of a superblock.
  void Merge(const Superblock& block, const uint8_t* planes,
             uint8_t* dst) const {
    if constexpr (kWidth == 1) {
      ForConstants<plane::kSteps / 2>([&](auto half) CAISSON_PLANE_LAMBDA {
        for (size_t i = 0; i < kVectors; ++i) {
          const V even = Top<2 * half()>(block, planes, i);
          const V odd = Top<2 * half() + 1>(block, planes, i);
          Store(hn::Or(even, hn::ShiftLeft<8>(odd)),
                dst + half() * 64 + i * kVectorBytes);
        }
      });
    } else {
      RowSource rows[3] = {};
      Sources(planes, rows);
      ForConstants<plane::kSteps>([&](auto step) CAISSON_PLANE_LAMBDA {
        for (size_t i = 0; i < kVectors; ++i) {
          StoreElems(Top<step()>(block, planes, i), rows, step(), i,
                     dst + step() * kStepBytes + i * kVectorBytes);
        }
      });
    }
  }

  // Steps after which heads begin at a word's lowest bit again, and bytes of
  // one-byte elements at a whole lane.
  static constexpr uint32_t kPeriod = [] {
    uint32_t steps = kWidth == 1 ? 2 : 1;
    while (steps * kHeadBits % 16 != 0) steps *= 2;
    return steps;
  }();

  // Merges a superblock step by step, where a row is one vector.
  class Merger {
   public:
    Merger() = default;
    Merger(const Planes& planes, const uint8_t* src, uint8_t* dst)
        : planes_(&planes), heads_(src), dst_(dst) {
      planes.Sources(src, rows_);
    }

    // All of it.
    void Merge(const Superblock& block) const {
      planes_->Merge(block, heads_, dst_);
    }

    // Step kStep of the period that begins with step `first`.
    template <uint32_t kStep>
    HWY_INLINE void Step(uint32_t first, V top) {
      const uint8_t* const heads =
          heads_ + first * kHeadBits / 16 * plane::kRowBytes;
      top = planes_->template WithHeadOf<kStep>(top, heads);
      if constexpr (kWidth > 1) {
        planes_->StoreElems(top, rows_, first + kStep, 0,
                            dst_ + (first + kStep) * kStepBytes);
      } else if constexpr (kStep % 2 == 0) {
        even_ = top;
      } else {
        Store(hn::Or(even_, hn::ShiftLeft<8>(top)),
              dst_ + (first + kStep) / 2 * 64);
      }
    }

   private:
    const Planes* planes_ = nullptr;
    const uint8_t* heads_ = nullptr;
    uint8_t* dst_ = nullptr;
    RowSource rows_[3] = {};
    V even_;
  };

  // Symbols and planes of the elements of a superblock, the first of the chunk
  // being `first` when prepared.
  void Split(const uint8_t* src, uint64_t first, uint8_t* planes,
             Superblock* block, SplitSums* sums) const {
    const V first_dup = Repeated(first);
    uint8_t* const rows = planes + kHeadBits * plane::kRowBytes;
    for (size_t i = 0; i < kVectors; ++i) {
      V differing = hn::Zero(D());
      V symbolless = hn::Zero(D());
      V words[12];  // of heads; constant indices keep them in registers
      V both = hn::Zero(D());
      ForConstants<plane::kSteps>([&](auto step) CAISSON_PLANE_LAMBDA {
        constexpr uint32_t kStep = step();
        V top;
        if constexpr (kWidth == 1) {
          if constexpr (kStep % 2 == 0) {
            both = Load(src + kStep / 2 * 64 + i * kVectorBytes);
            differing = hn::Or(differing, hn::Xor(both, first_dup));
            top = hn::And(both, hn::Set(D(), 0xFF));
          } else {
            top = hn::ShiftRight<8>(both);
          }
        } else {
          top = LoadElems(src + kStep * kStepBytes + i * kVectorBytes,
                          first_dup, &differing, rows, kStep, i);
        }
        hn::Store(Symbol(top, &symbolless), D(),
                  block->lanes[kStep] + i * kLanesOf);
        PutHead<kStep>(Head(top), words, planes + i * kVectorBytes);
      });
      Add(differing, sums->differing);
      Add(symbolless, sums->symbolless);
    }
  }

 private:
  static HWY_INLINE V Load(const uint8_t* src) {
    return hn::BitCast(D(), hn::LoadU(D8(), src));
  }
  template <class AnyV>
  static HWY_INLINE void Store(AnyV v, uint8_t* dst) {
    hn::StoreU(hn::BitCast(D8(), v), D8(), dst);
  }

  template <class T>
  static HWY_INLINE void Add(V bits, T* sum) {
    const hn::Repartition<T, D> d;
    hn::Store(hn::Or(hn::BitCast(d, bits), hn::Load(d, sum)), d, sum);
  }

  static V Repeated(uint64_t elem) {
    uint64_t bits = elem & plane::LowBits(kBits);
    for (int at = kBits; at < 64; at *= 2) bits |= bits << at;
    return hn::BitCast(D(), hn::Set(D64(), bits));
  }

  // Heads.

  template <uint32_t kStep>
  HWY_INLINE V Top(const Superblock& block, const uint8_t* planes,
                   size_t i) const {
    return WithHeadOf<kStep>(hn::Load(D(), block.lanes[kStep] + i * kLanesOf),
                             planes + i * kVectorBytes);
  }

  // `top` and the head of step kStep, the heads' words of these lanes being at
  // `heads`.
  template <uint32_t kStep>
  HWY_INLINE V WithHeadOf(V top, const uint8_t* heads) const {
    constexpr int kAt = kStep * kHeadBits % 16;
    const uint8_t* const word =
        heads + kStep * kHeadBits / 16 * plane::kRowBytes;
    if constexpr (kHeadConst) top = hn::Or(top, hn::Set(D(), const_top_));
    if constexpr (kHeadBits == 0) {
      return top;
    } else if constexpr (kAt + kHeadBits > 16) {
      const V head = hn::Or(Shifted<-kAt>(Load(word)),
                            Shifted<16 - kAt>(Load(word + plane::kRowBytes)));
      return WithHead<0>(top, head);
    } else {
      return WithHead<kAt>(top, Load(word));
    }
  }

  // `top` and the head whose lowest bit is bit kAt of `word`.
  template <int kAt>
  HWY_INLINE V WithHead(V top, V word) const {
    constexpr int kLow = kFloat ? kMantissa : kHeadBits;
    const V low = hn::Set(D(), static_cast<uint16_t>((1 << kLow) - 1));
    top = hn::OrAnd(top, Shifted<-kAt>(word), low);
    if constexpr (kFloat && !kHeadConst) {
      const V sign = hn::Set(D(), static_cast<uint16_t>(1 << kSignAt));
      top = hn::OrAnd(top, Shifted<kSignAt - kMantissa - kAt>(word), sign);
    }
    return top;
  }

  static HWY_INLINE V Head(V top) {
    if constexpr (kHeadBits == 0) {
      return top;
    } else if constexpr (kInteger) {
      return hn::And(top, hn::Set(D(), 0xFF));
    } else {
      const V low = hn::Set(D(), static_cast<uint16_t>((1 << kMantissa) - 1));
      const V mantissa = hn::And(top, low);
      if constexpr (kHeadConst) return mantissa;
      const V sign = hn::Set(D(), static_cast<uint16_t>(1 << kMantissa));
      return hn::OrAnd(mantissa, hn::ShiftRight<kSignAt - kMantissa>(top),
                       sign);
    }
  }

  // Adds the head of step kStep to the words of its lanes, and stores those
  // that it completes.
  template <uint32_t kStep>
  HWY_INLINE void PutHead(V head, V* words, uint8_t* planes) const {
    if constexpr (kHeadBits > 0) {
      constexpr int kAt = kStep * kHeadBits % 16;
      constexpr size_t kWord = kStep * kHeadBits / 16;
      if constexpr (kAt == 0) {
        words[kWord] = head;
      } else {
        words[kWord] = hn::Or(words[kWord], Shifted<kAt>(head));
      }
      if constexpr (kAt + kHeadBits >= 16) {
        Store(words[kWord], planes + kWord * plane::kRowBytes);
      }
      if constexpr (kAt + kHeadBits > 16) {
        words[kWord + 1] = Shifted<kAt - 16>(head);
      }
    }
  }

  HWY_INLINE V Symbol(V top, V* symbolless) const {
    if constexpr (kType == PlaneType::kFloat64) {
      const V exponent = hn::And(hn::ShiftRight<4>(top), hn::Set(D(), 0x7FF));
      const auto is_zero = hn::Eq(exponent, hn::Zero(D()));
      const V symbol = hn::IfThenZeroElse(
          is_zero, hn::Sub(exponent, hn::Set(D(), plane::kFloat64Base)));
      // From 1 to 255 there is one; what is below 1 wraps.
      const V beyond =
          hn::SaturatedSub(hn::Sub(symbol, hn::Set(D(), 1)), hn::Set(D(), 254));
      *symbolless = hn::Or(*symbolless, hn::IfThenZeroElse(is_zero, beyond));
      return hn::And(symbol, hn::Set(D(), 0xFF));
    } else {
      const V mask =
          hn::Set(D(), static_cast<uint16_t>((1 << kTraits.symbol_bits) - 1));
      return hn::And(Shifted<-kSymbolIn>(top), mask);
    }
  }

  // Rows.

  HWY_INLINE void Sources(const uint8_t* planes, RowSource rows[3]) const {
    const uint8_t* at = planes + kHeadBits * plane::kRowBytes;
    const size_t stride =
        (plane_bytes_ - kHeadBits * plane::kRowBytes) / plane::kSteps;
    for (uint32_t j = 0; j < kTraits.rows; ++j) {
      if (flags_ & (kPlaneRow0Const << j)) {
        rows[j] = {reinterpret_cast<const uint8_t*>(const_rows_[j]), 0};
      } else {
        rows[j] = {at, stride};
        at += plane::kRowBytes;
      }
    }
  }

  static HWY_INLINE V LoadRow(const RowSource& row, uint32_t step, size_t i) {
    return Load(row.at + step * row.stride + i * kVectorBytes);
  }

  HWY_INLINE void StoreElems(V top, const RowSource* rows, uint32_t step,
                             size_t i, uint8_t* dst) const {
    const D d;
    if constexpr (kWidth == 2) {
      Store(Restored(d, top), dst);
    } else if constexpr (kWidth == 4) {
      const D32 d32;
      const V low = LoadRow(rows[0], step, i);
      Store(Restored(d32, hn::BitCast(d32, hn::InterleaveLower(d, low, top))),
            dst);
      Store(Restored(d32, hn::BitCast(d32, hn::InterleaveUpper(d, low, top))),
            dst + 64);
    } else {
      const D64 d64;
      const V row0 = LoadRow(rows[0], step, i);
      const V row1 = LoadRow(rows[1], step, i);
      const V row2 = LoadRow(rows[2], step, i);
      const V even_low = hn::InterleaveLower(d, row0, row2);
      const V even_high = hn::InterleaveUpper(d, row0, row2);
      const V odd_low = hn::InterleaveLower(d, row1, top);
      const V odd_high = hn::InterleaveUpper(d, row1, top);
      const auto put = [&](V elems, size_t at) CAISSON_PLANE_LAMBDA {
        Store(Restored(d64, hn::BitCast(d64, elems)), dst + at);
      };
      put(hn::InterleaveLower(d, even_low, odd_low), 0);
      put(hn::InterleaveUpper(d, even_low, odd_low), 64);
      put(hn::InterleaveLower(d, even_high, odd_high), 128);
      put(hn::InterleaveUpper(d, even_high, odd_high), 192);
    }
  }

  // The inverse: stores the rows of a step's elements that are stored, and
  // returns their tops.
  HWY_INLINE V LoadElems(const uint8_t* src, V first, V* differing,
                         uint8_t* rows, uint32_t step, size_t i) const {
    const auto load = [&](auto d, size_t at) CAISSON_PLANE_LAMBDA {
      const auto elems = Prepared(d, hn::BitCast(d, Load(src + at)));
      const V bits = hn::BitCast(D(), elems);
      *differing = hn::Or(*differing, hn::Xor(bits, first));
      return bits;
    };
    if constexpr (kWidth == 2) {
      return load(D(), 0);
    } else if constexpr (kWidth == 4) {
      const V a = load(D32(), 0);
      const V b = load(D32(), 64);
      StoreRow(0, LowHalves(a, b), rows, step, i);
      return HighHalves(a, b);
    } else {
      const V a = load(D64(), 0);
      const V b = load(D64(), 64);
      const V c = load(D64(), 128);
      const V e = load(D64(), 192);
      const V even_low = LowHalves(a, b);
      const V even_high = LowHalves(c, e);
      const V odd_low = HighHalves(a, b);
      const V odd_high = HighHalves(c, e);
      StoreRow(0, LowHalves(even_low, even_high), rows, step, i);
      StoreRow(1, LowHalves(odd_low, odd_high), rows, step, i);
      StoreRow(2, HighHalves(even_low, even_high), rows, step, i);
      return HighHalves(odd_low, odd_high);
    }
  }

  // Lower or upper halves of words of 32 bits: block by block those of `a`,
  // then those of `b`. The words have a sign only so that there is an
  // instruction, which saturates nothing.
  static HWY_INLINE V LowHalves(V a, V b) {
    const D32i d;
    return hn::BitCast(
        D(),
        hn::ReorderDemote2To(
            D16i(), hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(d, a))),
            hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(d, b)))));
  }
  static HWY_INLINE V HighHalves(V a, V b) {
    const D32i d;
    return hn::BitCast(
        D(), hn::ReorderDemote2To(D16i(), hn::ShiftRight<16>(hn::BitCast(d, a)),
                                  hn::ShiftRight<16>(hn::BitCast(d, b))));
  }

  HWY_INLINE void StoreRow(uint32_t j, V row, uint8_t* rows, uint32_t step,
                           size_t i) const {
    if (flags_ & (kPlaneRow0Const << j)) return;
    // Those before it that are stored, and those of the steps before.
    uint32_t before = 0;
    for (uint32_t k = 0; k < j; ++k)
      before += !(flags_ & (kPlaneRow0Const << k));
    const size_t stride =
        (plane_bytes_ - kHeadBits * plane::kRowBytes) / plane::kSteps;
    Store(row,
          rows + step * stride + before * plane::kRowBytes + i * kVectorBytes);
  }

  // As plane::Prepared and plane::Restored.

  template <class DW>
  HWY_INLINE hn::Vec<DW> Prepared(DW d, hn::Vec<DW> elems) const {
    if constexpr (!kInteger) return elems;
    if (zigzag_) {
      const hn::RebindToSigned<DW> di;
      const auto sign =
          hn::BitCast(d, hn::ShiftRight<kBits - 1>(hn::BitCast(di, elems)));
      elems = hn::Xor(hn::Add(elems, elems), sign);
    }
    if (rotate_ == 0) return elems;
    return hn::Or(hn::ShiftLeftSame(elems, rotate_),
                  hn::ShiftRightSame(elems, kBits - rotate_));
  }

  template <class DW>
  HWY_INLINE hn::Vec<DW> Restored(DW d, hn::Vec<DW> words) const {
    if constexpr (!kInteger) return words;
    if (rotate_ != 0) {
      words = hn::Or(hn::ShiftRightSame(words, rotate_),
                     hn::ShiftLeftSame(words, kBits - rotate_));
    }
    if (!zigzag_) return words;
    const auto sign = hn::Sub(hn::Zero(d), hn::And(words, hn::Set(d, 1)));
    return hn::Xor(hn::ShiftRight<1>(words), sign);
  }

  const size_t plane_bytes_;
  const uint8_t flags_;
  const bool zigzag_;
  const int rotate_;  // bits
  const uint16_t const_top_;
  alignas(64) uint16_t const_rows_[3][plane::kLanes];
};

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
