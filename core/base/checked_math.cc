// SPDX-License-Identifier: Apache-2.0
#include "core/base/checked_math.h"

namespace caisson {

std::optional<uint64_t> CheckedElems(std::span<const int64_t> shape) {
  int64_t product = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(product, size, &product)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<uint64_t>(product);
}

std::optional<uint64_t> CheckedExtent(uint64_t offset,
                                      std::span<const int64_t> shape,
                                      std::span<const int64_t> strides) {
  if (shape.size() != strides.size()) return std::nullopt;
  bool empty = false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < 0 || strides[d] < 0) return std::nullopt;
    empty = empty || shape[d] == 0;
  }
  // Nothing is touched, however far a stride would reach.
  if (empty) return offset;
  uint64_t last = offset;
  for (size_t d = 0; d < shape.size(); ++d) {
    const auto reach = CheckedMul(static_cast<uint64_t>(shape[d] - 1),
                                  static_cast<uint64_t>(strides[d]));
    if (!reach) return std::nullopt;
    const auto sum = CheckedAdd(last, *reach);
    if (!sum) return std::nullopt;
    last = *sum;
  }
  return CheckedAdd(last, 1);
}

}  // namespace caisson
