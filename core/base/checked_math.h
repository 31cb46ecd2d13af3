// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on sizes that come from a file. Every such size goes through
// here, so that no wrapped sum ever passes a bounds check.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace caisson {

inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// True if [offset, offset + bytes) lies within [0, limit).
inline bool FitsWithin(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

// Product of `shape`, or none if a dimension is negative or the product of
// the non-zero ones exceeds 2^63 - 1. Checking those too refuses [2^62, 4, 0].
std::optional<uint64_t> CheckedElems(std::span<const int64_t> shape);

// One past the last element that a view touches, counted from the storage's
// first element: offset + sum((size - 1) * stride) + 1; `offset` for a view
// without elements. None on overflow, on a negative size or stride, or if the
// counts of dimensions differ.
std::optional<uint64_t> CheckedExtent(uint64_t offset,
                                      std::span<const int64_t> shape,
                                      std::span<const int64_t> strides);

}  // namespace caisson
