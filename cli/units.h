// SPDX-License-Identifier: Apache-2.0
//
// Amounts as people read them. Decimal units: 1 GB is 10^9 bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace caisson::cli {

// What TensorSpec gives for a size that 64 bits cannot hold.
inline constexpr uint64_t kTooLarge = std::numeric_limits<uint64_t>::max();

// "16 B", "1.5 GB"; "too large" for kTooLarge.
std::string ByteText(uint64_t bytes);

// "768", "124.4 M"; "too many" for kTooLarge.
std::string CountText(uint64_t count);

// "1.9 GB/s"; empty for a time too short to tell.
std::string RateText(uint64_t bytes, double seconds);

// "0.8 s", "12 min 30 s".
std::string TimeText(double seconds);

// "1 record", "148 records".
std::string Plural(uint64_t count, std::string_view noun);

// "1.5 GB <verb> in 0.8 s (1.9 GB/s)"; `verb` may be empty.
std::string WorkText(uint64_t bytes, std::string_view verb, double seconds);

}  // namespace caisson::cli
