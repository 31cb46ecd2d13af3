// SPDX-License-Identifier: Apache-2.0
//
// Plain loops, which the compiler vectorises for each target: the work is one
// widening or narrowing, or two comparisons. The check is a pass of its own
// over a block that lies in L1, and looks for the place only where it failed.
#include "kernels/cpu/convert_integer.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convert_integer.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace caisson::cpu::HWY_NAMESPACE {

template <typename T>
HWY_INLINE T Load(const uint8_t* src, size_t i) {
  T value;
  std::memcpy(&value, src + i * sizeof(T), sizeof(T));
  return value;
}

template <typename From, typename To>
void Resize(const uint8_t* src, uint8_t* dst, size_t elems) {
  for (size_t i = 0; i < elems; ++i) {
    const To value = static_cast<To>(Load<From>(src, i));
    std::memcpy(dst + i * sizeof(To), &value, sizeof(To));
  }
}

template <typename From>
void ResizeFrom(size_t to_width, const uint8_t* src, uint8_t* dst,
                size_t elems) {
  switch (to_width) {
    case 1:
      return Resize<From, uint8_t>(src, dst, elems);
    case 2:
      return Resize<From, uint16_t>(src, dst, elems);
    case 4:
      return Resize<From, uint32_t>(src, dst, elems);
    default:
      return Resize<From, uint64_t>(src, dst, elems);
  }
}

void ResizeRun(size_t from_width, bool from_signed, size_t to_width,
               const uint8_t* src, uint8_t* dst, size_t elems) {
  // Signs matter where integers grow only.
  if (from_signed && from_width < to_width) {
    switch (from_width) {
      case 1:
        return ResizeFrom<int8_t>(to_width, src, dst, elems);
      case 2:
        return ResizeFrom<int16_t>(to_width, src, dst, elems);
      default:
        return ResizeFrom<int32_t>(to_width, src, dst, elems);
    }
  }
  switch (from_width) {
    case 1:
      return ResizeFrom<uint8_t>(to_width, src, dst, elems);
    case 2:
      return ResizeFrom<uint16_t>(to_width, src, dst, elems);
    case 4:
      return ResizeFrom<uint32_t>(to_width, src, dst, elems);
    default:
      return ResizeFrom<uint64_t>(to_width, src, dst, elems);
  }
}

template <typename T>
size_t FirstOutsideOf(IntegerRange range, const uint8_t* src, size_t elems) {
  const T least = static_cast<T>(range.least);
  const T most = static_cast<T>(range.most);
  constexpr size_t kBlock = 1024;
  for (size_t first = 0; first < elems; first += kBlock) {
    const size_t end = std::min(elems, first + kBlock);
    T low = most;
    T high = least;
    for (size_t i = first; i < end; ++i) {
      const T value = Load<T>(src, i);
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (low >= least && high <= most) continue;
    for (size_t i = first; i < end; ++i) {
      const T value = Load<T>(src, i);
      if (value < least || value > most) return i;
    }
  }
  return elems;
}

size_t FirstOutsideRun(size_t width, bool is_signed, IntegerRange range,
                       const uint8_t* src, size_t elems) {
  switch (width) {
    case 1:
      return is_signed ? FirstOutsideOf<int8_t>(range, src, elems)
                       : FirstOutsideOf<uint8_t>(range, src, elems);
    case 2:
      return is_signed ? FirstOutsideOf<int16_t>(range, src, elems)
                       : FirstOutsideOf<uint16_t>(range, src, elems);
    case 4:
      return is_signed ? FirstOutsideOf<int32_t>(range, src, elems)
                       : FirstOutsideOf<uint32_t>(range, src, elems);
    default:
      return is_signed ? FirstOutsideOf<int64_t>(range, src, elems)
                       : FirstOutsideOf<uint64_t>(range, src, elems);
  }
}

}  // namespace caisson::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace caisson::cpu {
HWY_EXPORT(ResizeRun);
HWY_EXPORT(FirstOutsideRun);

void ResizeIntegers(size_t from_width, bool from_signed, size_t to_width,
                    const std::byte* src, std::byte* dst, size_t elems) {
  HWY_DYNAMIC_DISPATCH(ResizeRun)
  (from_width, from_signed, to_width, reinterpret_cast<const uint8_t*>(src),
   reinterpret_cast<uint8_t*>(dst), elems);
}

size_t FirstOutside(size_t width, bool is_signed, IntegerRange range,
                    const std::byte* src, size_t elems) {
  return HWY_DYNAMIC_DISPATCH(FirstOutsideRun)(
      width, is_signed, range, reinterpret_cast<const uint8_t*>(src), elems);
}

}  // namespace caisson::cpu
#endif  // HWY_ONCE
