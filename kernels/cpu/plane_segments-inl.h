// SPDX-License-Identifier: Apache-2.0
//
// What encoder and decoder share: the segments of a chunk, some of them side by
// side, and the coder of one target for them.
//
// Included by plane_encode_segments.cc and plane_decode_segments.cc, once for
// each target.
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/plane/coded_part.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/type_switch.h"

#ifndef CAISSON_PLANE_WAYS
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
#endif

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

#if CAISSON_PLANE_VECTORS

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

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

// fn(TypeTag, whether the head is constant, as a constant).
template <typename Fn>
auto WithPlanes(PlaneType type, uint8_t flags, const Fn& fn) {
  return plane::WithPlaneType(type, [&](auto tag) {
    if (flags & kPlaneHeadConst) return fn(tag, std::true_type());
    return fn(tag, std::false_type());
  });
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CAISSON_PLANE_VECTORS
