// SPDX-License-Identifier: Apache-2.0
//
// A tensor's values as nested brackets, as torch prints them.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "caisson/tensor.h"

namespace caisson::cli {

// The elements in `data`, which are dense and row-major. Of more than 1000
// only the first and last three of each dimension are shown, and of shapes
// with very many dimensions fewer; so the text is bounded. No line feed at the
// end. REQUIRES: ByteWidth(spec.dtype) != 0.
std::string TensorText(const TensorSpec& spec, std::span<const std::byte> data);

}  // namespace caisson::cli
