// SPDX-License-Identifier: Apache-2.0
//
// One element of a tensor as text.
#pragma once

#include <cstddef>
#include <string>

#include "caisson/dtype.h"

namespace caisson::cli {

// A float as Python writes it, with the fewest digits that name the value:
// "0.1", "1.0", "1e-05", "nan", "-inf".
std::string FloatRepr(double value);

// A value of a float type, or a component of a complex type, with no more
// digits than tell it from its neighbours: "0.1", "1.", "nan".
std::string NumberText(DType dtype, double value);

// The element at `data`: "0.1", "1.5-2.j", "-7", "True", "0x3f", and
// "(0.5, -6.)" for a pair in one byte. REQUIRES: ByteWidth(dtype) != 0.
std::string ElementText(DType dtype, const std::byte* data);

}  // namespace caisson::cli
