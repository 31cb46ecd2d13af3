// SPDX-License-Identifier: Apache-2.0
//
// A kernel that only reads: the limit of one that makes a CRC.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caisson/memory.h"
#include "caisson/status.h"

namespace caisson::bench {

// Reads `bytes` bytes of the current device and xors them into `*sum`, in its
// memory too, so that nothing of it can be left out.
//
// REQUIRES: both at multiples of 16; bytes is a multiple of 16.
Status ReadAll(const std::byte* src, size_t bytes, uint32_t* sum,
               Stream stream);

}  // namespace caisson::bench
