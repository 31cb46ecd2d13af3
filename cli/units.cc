// SPDX-License-Identifier: Apache-2.0
#include "cli/units.h"

#include <fmt/format.h>

#include <cmath>

namespace caisson::cli {
namespace {

// `amount` with one decimal and the prefix that keeps it below 1000; small
// whole amounts as they are.
std::string Scaled(double amount, std::string_view prefixes) {
  size_t power = 0;
  while (amount >= 999.95 && power + 1 < prefixes.size()) {
    amount /= 1000;
    ++power;
  }
  if (power == 0) return fmt::format("{:.0f} ", amount);
  return fmt::format("{:.1f} {}", amount, prefixes[power]);
}

}  // namespace

std::string ByteText(uint64_t bytes) {
  if (bytes == kTooLarge) return "too large";
  return Scaled(static_cast<double>(bytes), " kMGTPE") + "B";
}

std::string CountText(uint64_t count) {
  if (count == kTooLarge) return "too many";
  if (count < 10'000) return std::to_string(count);
  return Scaled(static_cast<double>(count), " kMGTPE");
}

std::string RateText(uint64_t bytes, double seconds) {
  if (seconds < 1e-6) return "";
  return Scaled(static_cast<double>(bytes) / seconds, " kMGTPE") + "B/s";
}

std::string TimeText(double seconds) {
  if (seconds < 0.0995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string Plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string WorkText(uint64_t bytes, std::string_view verb, double seconds) {
  std::string text = ByteText(bytes);
  if (!verb.empty()) text += fmt::format(" {}", verb);
  text += fmt::format(" in {}", TimeText(seconds));
  const std::string rate = RateText(bytes, seconds);
  if (!rate.empty()) text += fmt::format(" ({})", rate);
  return text;
}

}  // namespace caisson::cli
