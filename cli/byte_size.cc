// SPDX-License-Identifier: Apache-2.0
#include "cli/byte_size.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>

namespace caisson::cli {
namespace {

// Takes `letter`, in either case, off the front.
bool TakeLetter(std::string_view* text, char letter) {
  if (text->empty()) return false;
  const auto first = static_cast<unsigned char>(text->front());
  if (std::tolower(first) != letter) return false;
  text->remove_prefix(1);
  return true;
}

}  // namespace

std::optional<uint64_t> ParseByteSize(std::string_view text) {
  double amount = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, amount);
  if (error != std::errc()) return std::nullopt;
  std::string_view unit(rest, static_cast<size_t>(end - rest));
  if (unit.starts_with(' ')) unit.remove_prefix(1);

  constexpr std::string_view kPrefixes = "kmgt";
  for (size_t i = 0; i < kPrefixes.size(); ++i) {
    if (!TakeLetter(&unit, kPrefixes[i])) continue;
    const double base = TakeLetter(&unit, 'i') ? 1024 : 1000;
    amount *= std::pow(base, i + 1);
    break;
  }
  TakeLetter(&unit, 'b');
  constexpr double kMost = 9.2e18;
  if (!unit.empty() || !(amount >= 0 && amount <= kMost)) return std::nullopt;
  return static_cast<uint64_t>(std::llround(amount));
}

}  // namespace caisson::cli
