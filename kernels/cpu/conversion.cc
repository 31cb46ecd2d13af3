// SPDX-License-Identifier: Apache-2.0
//
// float32 is the hub of the floating-point types: every other one is reached
// from it in one stage. float64 to 16 or 8 bits is therefore rounded twice, as
// PyTorch does it.
#include "kernels/cpu/conversion.h"

#include <algorithm>

namespace caisson::cpu {
namespace {

// Elements between two stages, which stay in L1.
constexpr size_t kHubElems = 1024;

// One of the floating-point types, by its stages. None for float32 itself, and
// for integers.
struct FloatStages {
  std::optional<FloatStage> to_float32;
  std::optional<FloatStage> from_float32;
};

FloatStages StagesOf(Number number) {
  switch (number) {
    case Number::kFloat64:
      return {FloatStage::kFromFloat64, FloatStage::kToFloat64};
    case Number::kFloat16:
      return {FloatStage::kFromFloat16, FloatStage::kToFloat16};
    case Number::kBFloat16:
      return {FloatStage::kFromBFloat16, FloatStage::kToBFloat16};
    case Number::kFloat8E4M3:
      return {FloatStage::kFromFloat8E4M3, FloatStage::kToFloat8E4M3};
    case Number::kFloat8E5M2:
      return {FloatStage::kFromFloat8E5M2, FloatStage::kToFloat8E5M2};
    case Number::kFloat32:
    case Number::kSigned:
    case Number::kUnsigned:
      break;
  }
  return {};
}

}  // namespace

Conversion::Conversion(const NumberConversion& numbers)
    : from_width_(numbers.from_width),
      to_width_(numbers.to_width),
      to_float32_(StagesOf(numbers.from).to_float32),
      from_float32_(StagesOf(numbers.to).from_float32),
      from_signed_(numbers.from == Number::kSigned),
      range_(numbers.range) {}

void Conversion::Run(const std::byte* src, std::byte* dst, size_t elems) const {
  if (!to_float32_ && !from_float32_) {
    ResizeIntegers(from_width_, from_signed_, to_width_, src, dst, elems);
    return;
  }
  if (!to_float32_ || !from_float32_) {
    ConvertFloats(to_float32_ ? *to_float32_ : *from_float32_, src, dst, elems);
    return;
  }
  alignas(64) std::byte hub[kHubElems * sizeof(float)];
  for (size_t i = 0; i < elems; i += kHubElems) {
    const size_t run = std::min(elems - i, kHubElems);
    ConvertFloats(*to_float32_, src + i * from_width_, hub, run);
    ConvertFloats(*from_float32_, hub, dst + i * to_width_, run);
  }
}

size_t Conversion::FirstBad(const std::byte* src, size_t elems) const {
  if (!range_) return elems;
  return FirstOutside(from_width_, from_signed_, *range_, src, elems);
}

}  // namespace caisson::cpu
