// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 by folding (Gopal et al., "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction", 2009). The CRC of a message is its
// remainder modulo P, so 16 bytes of it may be replaced by anything congruent
// further on: two carry-less multiplications move them there. Eight vectors in
// flight hide the latency of the multiplier. What is left at the end, 16 bytes
// congruent to the whole message, is reduced to 32 bits by Barrett's method.
#include "caisson/crc32.h"

#include <cstring>

#include "kernels/cpu/crc32_constants.h"
#include "kernels/cpu/crc32_multiply.h"
#include "kernels/cpu/crc32_table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/crc32.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

// Lanes of 64 bits to fold at a time: as many as one instruction multiplies,
// or 0 where Highway would have to emulate it. CLMul of a wide vector on AVX2
// and AVX3 is a loop over 16 bytes.
#undef CAISSON_CRC32_LANES
#if HWY_TARGET == HWY_AVX3_DL
#define CAISSON_CRC32_LANES 8
#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || \
    HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SVE2 ||   \
    HWY_TARGET == HWY_SVE2_128
#define CAISSON_CRC32_LANES 2
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64 && \
    (HWY_HAVE_RUNTIME_DISPATCH || defined(__ARM_FEATURE_AES))
#define CAISSON_CRC32_LANES 2
#else
#define CAISSON_CRC32_LANES 0
#endif

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

#if CAISSON_CRC32_LANES == 0

uint32_t AdvanceCrc32(uint32_t state, const uint8_t* src, size_t bytes) {
  return Crc32ByTable(state, src, bytes);
}

uint32_t MultiplyWords(uint32_t a, uint32_t b) {
  return MultiplyCrc32ByBit(MultiplyCrc32ByBit(a, b), kCrc32X33);
}

#else

namespace hn = hwy::HWY_NAMESPACE;
using Block = hn::FixedTag<uint64_t, 2>;  // 16 bytes
using Wide = hn::FixedTag<uint64_t, CAISSON_CRC32_LANES>;
using BlockVec = hn::Vec<Block>;
using WideVec = hn::Vec<Wide>;

constexpr size_t kBlock = 16;  // bytes
constexpr size_t kWide = CAISSON_CRC32_LANES * sizeof(uint64_t);

template <class D>
HWY_INLINE hn::Vec<D> Load(D d, const uint8_t* src) {
  return hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, D>(), src));
}

// The multipliers that move each block of a vector past `kBytes` bytes.
template <size_t kBytes, class D>
HWY_INLINE hn::Vec<D> Past(D d) {
  static_assert(kBytes % kBlock == 0 && kBytes / kBlock <= 32);
  constexpr size_t kRow = hwy::CeilLog2(static_cast<uint32_t>(kBytes / kBlock));
  return hn::LoadDup128(d, kCrc32Fold[kRow]);
}

// `vec`, moved by `past` onto `next`.
template <class V>
HWY_INLINE V Fold(V vec, V past, V next) {
  return hn::Xor3(hn::CLMulLower(vec, past), hn::CLMulUpper(vec, past), next);
}

// `state` on the first 4 bytes, where it belongs, and zeros.
template <class D>
HWY_INLINE hn::Vec<D> Initial(D d, uint32_t state) {
  return hn::IfThenElseZero(hn::FirstN(d, 1), hn::Set(d, uint64_t{state}));
}

// Folds eight vectors and more, and leaves one.
HWY_INLINE WideVec FoldEight(uint32_t state, const uint8_t*& src,
                             size_t& bytes) {
  const Wide d;
  WideVec v0 = hn::Xor(Load(d, src), Initial(d, state));
  WideVec v1 = Load(d, src + 1 * kWide);
  WideVec v2 = Load(d, src + 2 * kWide);
  WideVec v3 = Load(d, src + 3 * kWide);
  WideVec v4 = Load(d, src + 4 * kWide);
  WideVec v5 = Load(d, src + 5 * kWide);
  WideVec v6 = Load(d, src + 6 * kWide);
  WideVec v7 = Load(d, src + 7 * kWide);
  src += 8 * kWide;
  bytes -= 8 * kWide;

  const WideVec past8 = Past<8 * kWide>(d);
  for (; bytes >= 8 * kWide; src += 8 * kWide, bytes -= 8 * kWide) {
    v0 = Fold(v0, past8, Load(d, src));
    v1 = Fold(v1, past8, Load(d, src + 1 * kWide));
    v2 = Fold(v2, past8, Load(d, src + 2 * kWide));
    v3 = Fold(v3, past8, Load(d, src + 3 * kWide));
    v4 = Fold(v4, past8, Load(d, src + 4 * kWide));
    v5 = Fold(v5, past8, Load(d, src + 5 * kWide));
    v6 = Fold(v6, past8, Load(d, src + 6 * kWide));
    v7 = Fold(v7, past8, Load(d, src + 7 * kWide));
  }

  const WideVec past4 = Past<4 * kWide>(d);
  v4 = Fold(v0, past4, v4);
  v5 = Fold(v1, past4, v5);
  v6 = Fold(v2, past4, v6);
  v7 = Fold(v3, past4, v7);
  const WideVec past2 = Past<2 * kWide>(d);
  v6 = Fold(v4, past2, v6);
  v7 = Fold(v5, past2, v7);
  return Fold(v6, Past<kWide>(d), v7);
}

// The blocks of one vector, folded onto the last of them.
HWY_INLINE BlockVec FoldBlocks(WideVec vec) {
  const Block d;
  alignas(kWide) uint64_t lanes[CAISSON_CRC32_LANES];
  hn::Store(vec, Wide(), lanes);
  BlockVec block = hn::Load(d, lanes);
  for (size_t i = 2; i < CAISSON_CRC32_LANES; i += 2) {
    block = Fold(block, Past<kBlock>(d), hn::Load(d, lanes + i));
  }
  return block;
}

// `block` and the fewer than 16 bytes after it, as the last 16 of them.
HWY_INLINE BlockVec FoldTail(BlockVec block, const uint8_t* src, size_t bytes) {
  const Block d;
  const hn::Repartition<uint8_t, Block> d8;
  alignas(16) uint8_t both[2 * kBlock] = {};  // zeros, `block`, tail
  hn::StoreU(hn::BitCast(d8, block), d8, both + kBlock - bytes);
  std::memcpy(both + 2 * kBlock - bytes, src, bytes);
  return Fold(Load(d, both), Past<kBlock>(d), Load(d, both + kBlock));
}

// The remainder of the first 96 bits of `value`, the others being 0: subtracts
// the multiple of P that clears the first 64 of them.
HWY_INLINE uint32_t Barrett(BlockVec value) {
  const Block d;
  const BlockVec quotient = hn::CLMulLower(value, hn::Set(d, kCrc32Quotient));
  const BlockVec multiple =
      hn::CLMulLower(quotient, hn::Set(d, kCrc32Polynomial));
  return static_cast<uint32_t>(hn::ExtractLane(hn::Xor(value, multiple), 1));
}

// The remainder of `block` followed by 32 zero bits.
HWY_INLINE uint32_t Reduce(BlockVec block) {
  const Block d;
  // 128 bits and the 32 zeros to 96 bits.
  return Barrett(hn::Xor(hn::CLMulLower(block, hn::Set(d, kCrc32Fold64)),
                         hn::ShiftRightBytes<8>(d, block)));
}

// The product of two reflected words has 63 bits, so that its coefficients
// stand one place too high, x^1; Barrett takes 32 bits of zero after it, x^32.
uint32_t MultiplyWords(uint32_t a, uint32_t b) {
  const Block d;
  return Barrett(
      hn::CLMulLower(hn::Set(d, uint64_t{a}), hn::Set(d, uint64_t{b})));
}

uint32_t AdvanceCrc32(uint32_t state, const uint8_t* src, size_t bytes) {
  if (bytes < kBlock) return Crc32ByTable(state, src, bytes);

  const Block d;
  BlockVec block;
  if (bytes >= kWide) {
    const Wide wide;
    WideVec vec;
    if (bytes >= 8 * kWide) {
      vec = FoldEight(state, src, bytes);
    } else {
      vec = hn::Xor(Load(wide, src), Initial(wide, state));
      src += kWide;
      bytes -= kWide;
    }
    for (; bytes >= kWide; src += kWide, bytes -= kWide) {
      vec = Fold(vec, Past<kWide>(wide), Load(wide, src));
    }
    block = FoldBlocks(vec);
  } else {
    block = hn::Xor(Load(d, src), Initial(d, state));
    src += kBlock;
    bytes -= kBlock;
  }
  for (; bytes >= kBlock; src += kBlock, bytes -= kBlock) {
    block = Fold(block, Past<kBlock>(d), Load(d, src));
  }
  if (bytes > 0) block = FoldTail(block, src, bytes);
  return Reduce(block);
}

#endif  // CAISSON_CRC32_LANES == 0

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson {
namespace cpu {
HWY_EXPORT(AdvanceCrc32);
HWY_EXPORT(MultiplyWords);

static uint32_t Advance(uint32_t state, const uint8_t* src, size_t bytes) {
  return HWY_DYNAMIC_DISPATCH(AdvanceCrc32)(state, src, bytes);
}

uint32_t MultiplyCrc32(uint32_t a, uint32_t b) {
  return HWY_DYNAMIC_DISPATCH(MultiplyWords)(a, b);
}
}  // namespace cpu

uint32_t Crc32(uint32_t crc, std::span<const std::byte> bytes) {
  return ~cpu::Advance(~crc, reinterpret_cast<const uint8_t*>(bytes.data()),
                       bytes.size());
}

}  // namespace caisson
#endif  // HWY_ONCE
