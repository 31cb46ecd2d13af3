// SPDX-License-Identifier: Apache-2.0
//
// What all transfers between a file and memory have in common, whoever does
// them: how far a file can reach, and the words of their errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "caisson/status.h"

namespace caisson {

// One past the last byte that any file can have.
inline constexpr uint64_t kMaxExtent = std::numeric_limits<int64_t>::max();

// "write at 4096: needed 100 bytes, 40 done"
std::string TransferText(std::string_view doing, uint64_t offset,
                         uint64_t needed, uint64_t done);

// kInvalidArgument: no file reaches to the end of this range.
Status BeyondAnyFile(std::string_view path, std::string_view doing,
                     uint64_t offset, uint64_t needed);

}  // namespace caisson
