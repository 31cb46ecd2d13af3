// SPDX-License-Identifier: Apache-2.0
//
// The memory that all contestants work on, so that each meets the same pages.
//
// It is asked for in pages of 2 MiB, filled and thereby touched when it is
// first wanted, which is before anything is timed, and kept until the end.
// Not thread-safe.
#pragma once

#include <cstddef>

#include "caisson/dtype.h"

namespace caisson::bench {

// What each of the functions can give: 1 GiB, and what a view may skip of it.
inline constexpr size_t kMostBytes = size_t{5} << 28;

// At least `bytes` bytes, at a multiple of 2 MiB, that hold random elements of
// `dtype`. Floating-point numbers are normal and of magnitude 2^-6 to 1, which
// all types can hold; int64 is what fits into int32; of every other type the
// bits are random. Elements do not change between calls.
//
// REQUIRES: bytes <= kMostBytes.
const std::byte* Source(DType dtype, size_t bytes);

// At least `bytes` bytes to write to, shared by all. They lie half a page off
// the sources, else a CPU may take a store for the source of the next load.
//
// REQUIRES: bytes <= kMostBytes.
std::byte* Destination(size_t bytes);

}  // namespace caisson::bench
