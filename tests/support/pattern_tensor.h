// SPDX-License-Identifier: Apache-2.0
//
// Tensors whose bytes follow a rule that a program in another language can
// follow too.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "caisson/tensor.h"

namespace caisson {

// A dense tensor that owns its bytes; byte i, of a little-endian file, is
// (first + i) mod 251. Booleans are the lowest bit of that.
inline TensorView PatternTensor(DType dtype, std::vector<int64_t> shape,
                                size_t first) {
  const size_t bytes = TensorSpec{"", dtype, shape}.bytes();
  auto owner = std::make_shared<std::vector<std::byte>>(bytes);
  const size_t mask = dtype == DType::kBool ? 1 : 0xff;
  for (size_t i = 0; i < bytes; ++i) {
    (*owner)[i] = static_cast<std::byte>((first + i) % 251 & mask);
  }
  TensorView tensor =
      DenseTensor(dtype, std::move(shape), owner->data(), owner);
  // Nobody turns an untyped storage over on its way into a file.
  if (std::endian::native == std::endian::big && tensor.storage->dtype) {
    const auto unit = static_cast<ptrdiff_t>(SwapWidth(dtype));
    for (auto at = owner->begin(); at != owner->end(); at += unit) {
      std::reverse(at, at + unit);
    }
  }
  return tensor;
}

// Another view of the same storage.
inline TensorView ViewOf(TensorView base, std::vector<int64_t> shape,
                         std::vector<int64_t> strides, uint64_t offset = 0) {
  base.spec.shape = std::move(shape);
  base.strides = std::move(strides);
  base.offset = offset;
  return base;
}

}  // namespace caisson
