// SPDX-License-Identifier: Apache-2.0
//
// Sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace caisson::cli {

// "2GiB", "1.5 GB", "512M", "1e9", "4096B": a number of bytes, thousands (k, M,
// G, T) or powers of 1024 (Ki, Mi, Gi, Ti) of them, in either case. None for
// what is no size, or is more than 2^63.
std::optional<uint64_t> ParseByteSize(std::string_view text);

}  // namespace caisson::cli
