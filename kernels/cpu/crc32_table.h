// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 by table: for targets without carry-less multiplication, and for
// what is too short for it. Pure; any thread; either byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caisson::cpu {

// Advances the register of the CRC, which is ~crc before and after, over
// `bytes` bytes at `src`. Any alignment.
uint32_t Crc32ByTable(uint32_t state, const uint8_t* src, size_t bytes);

}  // namespace caisson::cpu
