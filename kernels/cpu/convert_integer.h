// SPDX-License-Identifier: Apache-2.0
//
// Integers widened and narrowed, and the check that none of them is out of the
// range of its new type. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/number.h"

namespace caisson::cpu {

// Stores `elems` integers of `from_width` bytes in `to_width` bytes each: the
// low bytes of a larger one; a smaller one with its sign or zeros before it.
// Any alignment.
//
// REQUIRES: widths of 1, 2, 4 or 8; the ranges are disjoint, or src == dst and
// elements do not grow.
void ResizeIntegers(size_t from_width, bool from_signed, size_t to_width,
                    const std::byte* src, std::byte* dst, size_t elems);

// The first of `elems` integers at `src` outside of `range`, else `elems`.
//
// REQUIRES: a width of 1, 2, 4 or 8; for a signed type, the most of its own
// range at the most.
size_t FirstOutside(size_t width, bool is_signed, IntegerRange range,
                    const std::byte* src, size_t elems);

}  // namespace caisson::cpu
