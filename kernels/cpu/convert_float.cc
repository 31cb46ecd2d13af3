// SPDX-License-Identifier: Apache-2.0
//
// One vector of float32 at a time, and the arithmetic of kernels/float_bits.h
// on its lanes; float16 by the processor's own instructions where it has them.
// Elements of less than a vector are converted one by one.
#include "kernels/cpu/convert_float.h"

#include <cstring>

#include "kernels/float_bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convert_float.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// Where Highway's float16 conversions are instructions that round to nearest
// even. Elsewhere it computes them, and truncates.
#undef CAISSON_NATIVE_FLOAT16
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || \
    HWY_TARGET == HWY_AVX3_DL || (HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64)
#define CAISSON_NATIVE_FLOAT16 1
#else
#define CAISSON_NATIVE_FLOAT16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<uint32_t>;  // float32 as bits
using WordsVec = hn::Vec<Words>;
using Floats = hn::RebindToFloat<Words>;

// One vector, at any alignment.
template <class D>
HWY_INLINE hn::Vec<D> LoadBytes(D d, const uint8_t* src) {
#if HWY_TARGET == HWY_SCALAR  // whose vectors cannot be taken for bytes
  hn::TFromD<D> lane;
  std::memcpy(&lane, src, sizeof(lane));
  return hn::Set(d, lane);
#else
  return hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, D>(), src));
#endif
}

template <class D, class V>
HWY_INLINE void StoreBytes(V vec, D d, uint8_t* dst) {
#if HWY_TARGET == HWY_SCALAR
  const auto lane = hn::GetLane(hn::BitCast(d, vec));
  std::memcpy(dst, &lane, sizeof(lane));
#else
  (void)d;
  const hn::Repartition<uint8_t, D> d8;
  hn::StoreU(hn::BitCast(d8, vec), d8, dst);
#endif
}

// As many elements of type T as Words has lanes.
template <typename T>
HWY_INLINE hn::Vec<hn::Rebind<T, Words>> LoadRun(const uint8_t* src) {
  return LoadBytes(hn::Rebind<T, Words>(), src);
}

template <typename T, class V>
HWY_INLINE void StoreRun(V vec, uint8_t* dst) {
  StoreBytes(vec, hn::Rebind<T, Words>(), dst);
}

// The low bits of each word as a T. REQUIRES: nothing is lost.
template <typename T>
HWY_INLINE void StoreNarrow(WordsVec words, uint8_t* dst) {
  const hn::RebindToSigned<Words> di;
  StoreRun<T>(hn::DemoteTo(hn::Rebind<T, Words>(), hn::BitCast(di, words)),
              dst);
}

template <typename T>
HWY_INLINE WordsVec LoadWide(const uint8_t* src) {
  return hn::PromoteTo(Words(), LoadRun<T>(src));
}

HWY_INLINE hn::Vec<Floats> AsFloats(WordsVec words) {
  return hn::BitCast(Floats(), words);
}
HWY_INLINE WordsVec AsWords(hn::Vec<Floats> floats) {
  return hn::BitCast(Words(), floats);
}

// bits::RoundMagnitude.
template <class F>
HWY_INLINE WordsVec RoundMagnitude(WordsVec magnitude) {
  const Words d;
  const auto rounder = hn::Set(d, F::kRounder);
  const auto odd =
      hn::And(hn::ShiftRight<F::kShift>(magnitude), hn::Set(d, 1u));
  const auto half = hn::Set(d, F::kRebias + (1u << (F::kShift - 1)) - 1);
  const auto normal =
      hn::ShiftRight<F::kShift>(hn::Add(hn::Add(magnitude, half), odd));
  const auto subnormal = hn::Sub(
      AsWords(hn::Add(AsFloats(magnitude), AsFloats(rounder))), rounder);
  return hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, F::kSmallestNormal)),
                        subnormal, normal);
}

// bits::WidenMagnitude.
template <class F>
HWY_INLINE WordsVec WidenMagnitude(WordsVec magnitude) {
  const Words d;
  const auto smallest = hn::Set(d, F::kSmallestNormal);
  const auto placed = hn::ShiftLeft<F::kShift>(magnitude);
  const auto normal = hn::Sub(placed, hn::Set(d, F::kRebias));
  const auto subnormal =
      AsWords(hn::Sub(AsFloats(hn::Add(placed, smallest)), AsFloats(smallest)));
  const auto exponent = hn::And(placed, hn::Set(d, F::kExponentMask));
  return hn::IfThenElse(hn::Eq(exponent, hn::Zero(d)), subnormal, normal);
}

struct ToBFloat16 {
  using From = uint32_t;
  using To = uint16_t;
  static To One(From x) { return bits::BFloat16FromFloat32(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const Words d;
    const auto x = LoadRun<From>(src);
    const auto odd = hn::And(hn::ShiftRight<16>(x), hn::Set(d, 1u));
    const auto rounded = hn::Add(hn::Add(x, hn::Set(d, 0x7FFFu)), odd);
    const auto quiet = hn::Or(x, hn::Set(d, 0x400000u));
    const auto nan = hn::Gt(hn::AndNot(hn::Set(d, bits::kSign32), x),
                            hn::Set(d, bits::kInfinity32));
    StoreNarrow<To>(hn::ShiftRight<16>(hn::IfThenElse(nan, quiet, rounded)),
                    dst);
  }
};

struct FromBFloat16 {
  using From = uint16_t;
  using To = uint32_t;
  static To One(From x) { return bits::Float32FromBFloat16(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    StoreRun<To>(hn::ShiftLeft<16>(LoadWide<From>(src)), dst);
  }
};

// A magnitude above `last` becomes `nan` if it is that of a NaN, else `past`.
template <class F>
HWY_INLINE WordsVec RoundToFormat(WordsVec x, WordsVec magnitude, uint32_t last,
                                  uint32_t past, WordsVec nan) {
  const Words d;
  const auto sign = hn::ShiftRight<F::kSignShift>(hn::Xor(x, magnitude));
  const auto special = hn::IfThenElse(
      hn::Gt(magnitude, hn::Set(d, bits::kInfinity32)), nan, hn::Set(d, past));
  return hn::Or(sign, hn::IfThenElse(hn::Gt(magnitude, hn::Set(d, last)),
                                     special, RoundMagnitude<F>(magnitude)));
}

// Float16 and float8_e5m2 are infinite from 2^16 on.
constexpr uint32_t kLastBelow2To16 = ((127u + 16) << 23) - 1;

HWY_INLINE WordsVec Magnitude(WordsVec x) {
  return hn::AndNot(hn::Set(Words(), bits::kSign32), x);
}

struct ToFloat16 {
  using From = uint32_t;
  using To = uint16_t;
  static To One(From x) { return bits::Float16FromFloat32(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const auto x = LoadRun<From>(src);
#if CAISSON_NATIVE_FLOAT16
    StoreRun<To>(hn::DemoteTo(hn::Rebind<hwy::float16_t, Words>(), AsFloats(x)),
                 dst);
#else
    const Words d;
    const auto magnitude = Magnitude(x);
    const auto payload = hn::And(
        hn::ShiftRight<bits::Float16::kShift>(magnitude), hn::Set(d, 0x3FFu));
    StoreNarrow<To>(
        RoundToFormat<bits::Float16>(x, magnitude, kLastBelow2To16, 0x7C00,
                                     hn::Or(payload, hn::Set(d, 0x7E00u))),
        dst);
#endif
  }
};

// float16 in the low bits of words to float32.
HWY_INLINE WordsVec WidenFloat16(WordsVec x) {
  const Words d;
  const auto magnitude = hn::And(x, hn::Set(d, bits::Float16::kMagnitude));
  const auto sign = hn::ShiftLeft<31>(hn::ShiftRight<15>(x));
  const auto limit = hn::Set(d, 0x7C00u);
  const auto quiet =
      hn::IfThenElseZero(hn::Gt(magnitude, limit), hn::Set(d, 0x400000u));
  const auto payload =
      hn::ShiftLeft<13>(hn::And(magnitude, hn::Set(d, 0x3FFu)));
  const auto special =
      hn::Or(hn::Or(quiet, payload), hn::Set(d, bits::kInfinity32));
  return hn::Or(sign,
                hn::IfThenElse(hn::Gt(magnitude, hn::Set(d, 0x7BFFu)), special,
                               WidenMagnitude<bits::Float16>(magnitude)));
}

struct FromFloat16 {
  using From = uint16_t;
  using To = uint32_t;
  static To One(From x) { return bits::Float32FromFloat16(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
#if CAISSON_NATIVE_FLOAT16
    const auto half = LoadRun<hwy::float16_t>(src);
    StoreRun<To>(hn::PromoteTo(Floats(), half), dst);
#else
    StoreRun<To>(WidenFloat16(LoadWide<From>(src)), dst);
#endif
  }
};

struct ToFloat8E5M2 {
  using From = uint32_t;
  using To = uint8_t;
  static To One(From x) { return bits::Float8E5M2FromFloat32(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const auto x = LoadRun<From>(src);
    StoreNarrow<To>(
        RoundToFormat<bits::Float8E5M2>(x, Magnitude(x), kLastBelow2To16, 0x7C,
                                        hn::Set(Words(), 0x7Fu)),
        dst);
  }
};

struct FromFloat8E5M2 {
  using From = uint8_t;
  using To = uint32_t;
  static To One(From x) { return bits::Float32FromFloat8E5M2(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    StoreRun<To>(WidenFloat16(hn::ShiftLeft<8>(LoadWide<From>(src))), dst);
  }
};

struct ToFloat8E4M3 {
  using From = uint32_t;
  using To = uint8_t;
  static To One(From x) { return bits::Float8E4M3FromFloat32(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const auto x = LoadRun<From>(src);
    StoreNarrow<To>(
        RoundToFormat<bits::Float8E4M3>(x, Magnitude(x), bits::kLastFloat8E4M3,
                                        0x7E, hn::Set(Words(), 0x7Fu)),
        dst);
  }
};

struct FromFloat8E4M3 {
  using From = uint8_t;
  using To = uint32_t;
  static To One(From x) { return bits::Float32FromFloat8E4M3(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    using F = bits::Float8E4M3;
    const Words d;
    const auto x = LoadWide<From>(src);
    const auto magnitude = hn::And(x, hn::Set(d, F::kMagnitude));
    const auto sign = hn::ShiftLeft<31>(hn::ShiftRight<7>(x));
    const auto nan = hn::Eq(magnitude, hn::Set(d, 0x7Fu));
    StoreRun<To>(hn::Or(sign, hn::IfThenElse(nan, hn::Set(d, 0x7FF00000u),
                                             WidenMagnitude<F>(magnitude))),
                 dst);
  }
};

// As many float64 as there are words take two vectors, or one.
using Doubles = hn::ScalableTag<double>;
using HalfFloats = hn::Rebind<float, Doubles>;

struct ToFloat64 {
  using From = float;
  using To = double;
  static To One(From x) { return x; }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const Doubles d;
    for (size_t i = 0; i < hn::Lanes(Words()); i += hn::Lanes(d)) {
      const auto x = LoadBytes(HalfFloats(), src + i * sizeof(From));
      StoreBytes(hn::PromoteTo(d, x), d, dst + i * sizeof(To));
    }
  }
};

struct FromFloat64 {
  using From = double;
  using To = float;
  static To One(From x) { return static_cast<float>(x); }
  static HWY_INLINE void Run(const uint8_t* src, uint8_t* dst) {
    const Doubles d;
    for (size_t i = 0; i < hn::Lanes(Words()); i += hn::Lanes(d)) {
      const auto x = LoadBytes(d, src + i * sizeof(From));
      StoreBytes(hn::DemoteTo(HalfFloats(), x), HalfFloats(),
                 dst + i * sizeof(To));
    }
  }
};

template <class Stage>
void Convert(const uint8_t* src, uint8_t* dst, size_t elems) {
  using From = typename Stage::From;
  using To = typename Stage::To;
  const size_t lanes = hn::Lanes(Words());
  size_t i = 0;
  // A lane of HWY_SCALAR is slower than an element, and what is too large for
  // float32 is not infinite there.
  if (HWY_TARGET != HWY_SCALAR) {
    for (; i + lanes <= elems; i += lanes) {
      Stage::Run(src + i * sizeof(From), dst + i * sizeof(To));
    }
  }
  for (; i < elems; ++i) {
    From from;
    std::memcpy(&from, src + i * sizeof(From), sizeof(From));
    const To to = Stage::One(from);
    std::memcpy(dst + i * sizeof(To), &to, sizeof(To));
  }
}

void ConvertStage(FloatStage stage, const uint8_t* src, uint8_t* dst,
                  size_t elems) {
  switch (stage) {
    case FloatStage::kToBFloat16:
      return Convert<ToBFloat16>(src, dst, elems);
    case FloatStage::kToFloat16:
      return Convert<ToFloat16>(src, dst, elems);
    case FloatStage::kToFloat8E5M2:
      return Convert<ToFloat8E5M2>(src, dst, elems);
    case FloatStage::kToFloat8E4M3:
      return Convert<ToFloat8E4M3>(src, dst, elems);
    case FloatStage::kToFloat64:
      return Convert<ToFloat64>(src, dst, elems);
    case FloatStage::kFromBFloat16:
      return Convert<FromBFloat16>(src, dst, elems);
    case FloatStage::kFromFloat16:
      return Convert<FromFloat16>(src, dst, elems);
    case FloatStage::kFromFloat8E5M2:
      return Convert<FromFloat8E5M2>(src, dst, elems);
    case FloatStage::kFromFloat8E4M3:
      return Convert<FromFloat8E4M3>(src, dst, elems);
    case FloatStage::kFromFloat64:
      return Convert<FromFloat64>(src, dst, elems);
  }
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(ConvertStage);

void ConvertFloats(FloatStage stage, const std::byte* src, std::byte* dst,
                   size_t elems) {
  HWY_DYNAMIC_DISPATCH(ConvertStage)
  (stage, reinterpret_cast<const uint8_t*>(src),
   reinterpret_cast<uint8_t*>(dst), elems);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
