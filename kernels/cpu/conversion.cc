// SPDX-License-Identifier: Apache-2.0
//
// float32 is the hub of the floating-point types: every other one is reached
// from it in one stage. float64 to 16 or 8 bits is therefore rounded twice, as
// PyTorch does it.
#include "kernels/cpu/conversion.h"

#include <algorithm>
#include <limits>
#include <string>

namespace caisson::cpu {
namespace {

// Elements between two stages, which stay in L1.
constexpr size_t kHubElems = 1024;

// One of the floating-point types, by its stages. None for float32 itself.
struct FloatStages {
  std::optional<FloatStage> to_float32;
  std::optional<FloatStage> from_float32;
};

std::optional<FloatStages> FloatStagesOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return FloatStages{};
    case DType::kFloat64:
      return FloatStages{FloatStage::kFromFloat64, FloatStage::kToFloat64};
    case DType::kFloat16:
      return FloatStages{FloatStage::kFromFloat16, FloatStage::kToFloat16};
    case DType::kBFloat16:
      return FloatStages{FloatStage::kFromBFloat16, FloatStage::kToBFloat16};
    case DType::kFloat8E4M3Fn:
      return FloatStages{FloatStage::kFromFloat8E4M3,
                         FloatStage::kToFloat8E4M3};
    case DType::kFloat8E5M2:
      return FloatStages{FloatStage::kFromFloat8E5M2,
                         FloatStage::kToFloat8E5M2};
    default:
      return std::nullopt;
  }
}

struct IntegerType {
  size_t width;
  bool is_signed;
};

std::optional<IntegerType> IntegerTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kInt64:
    case DType::kInt32:
    case DType::kInt16:
    case DType::kInt8:
      return IntegerType{ByteWidth(dtype), true};
    case DType::kUInt64:
    case DType::kUInt32:
    case DType::kUInt16:
    case DType::kUInt8:
      return IntegerType{ByteWidth(dtype), false};
    default:
      return std::nullopt;
  }
}

IntegerRange RangeOf(IntegerType type) {
  const auto bits = static_cast<int>(8 * type.width);
  const uint64_t all = std::numeric_limits<uint64_t>::max() >> (64 - bits);
  if (!type.is_signed) return {.least = 0, .most = all};
  const auto most = static_cast<int64_t>(all >> 1);
  return {.least = -most - 1, .most = all >> 1};
}

}  // namespace

Result<Conversion> Conversion::Make(DType from, DType to) {
  Conversion made;
  made.from_width_ = ByteWidth(from);
  made.to_width_ = ByteWidth(to);
  const auto float_from = FloatStagesOf(from);
  const auto float_to = FloatStagesOf(to);
  if (float_from && float_to) {
    made.to_float32_ = float_from->to_float32;
    made.from_float32_ = float_to->from_float32;
    return made;
  }
  // The bytes of bool are 0 and 1.
  const auto integer_from =
      IntegerTypeOf(from == DType::kBool ? DType::kUInt8 : from);
  const auto integer_to = IntegerTypeOf(to);
  if (!integer_from || !integer_to) {
    return Status::Unsupported("no kernel converts " + std::string(Name(from)) +
                               " to " + std::string(Name(to)));
  }
  made.from_signed_ = integer_from->is_signed;
  const IntegerRange all = RangeOf(*integer_from);
  const IntegerRange fits = RangeOf(*integer_to);
  if (all.least < fits.least || all.most > fits.most) {
    made.range_ = {.least = std::max(all.least, fits.least),
                   .most = std::min(all.most, fits.most)};
  }
  return made;
}

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
