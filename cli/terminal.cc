// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace caisson::cli {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: the front of the text is not UTF-8
};

// RFC 3629 section 4, without surrogates and overlong forms.
CodePoint FirstCodePoint(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  uint32_t value = lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < kLeast[bytes] || value > 0x10ffff || surrogate) return {};
  return {value, bytes};
}

bool IsPlain(uint32_t value) {
  if (value < 0x20 || (value >= 0x7f && value < 0xa0)) return false;
  // Marks and separators that move or hide what stands beside them.
  const bool reorders = (value >= 0x200b && value <= 0x200f) ||
                        (value >= 0x2028 && value <= 0x202e) ||
                        (value >= 0x2060 && value <= 0x2069);
  return !reorders && value != 0xfeff;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    const size_t bytes = point.bytes == 0 ? 1 : point.bytes;
    if (point.bytes != 0 && IsPlain(point.value)) {
      result.append(text.substr(0, bytes));
    } else {
      for (const char c : text.substr(0, bytes)) {
        result += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
      }
    }
    text.remove_prefix(bytes);
  }
  return result;
}

std::string Abbreviated(std::string_view text, size_t characters) {
  // A character has at most 4 bytes: no more than needed is looked at.
  const std::string_view front = text.substr(0, 4 * characters);
  std::string shown = Printable(front);
  size_t bytes = 0;
  for (size_t i = 0; i < characters && bytes < shown.size(); ++i) {
    bytes += FirstCodePoint(std::string_view(shown).substr(bytes)).bytes;
  }
  if (bytes == shown.size() && front.size() == text.size()) return shown;
  return shown.substr(0, bytes) + "...";
}

std::string NameList(std::span<const std::string> names, size_t most) {
  std::string list;
  for (const std::string& name : names.first(std::min(most, names.size()))) {
    list += list.empty() ? "" : ", ";
    list += Abbreviated(name, 1000);
  }
  if (names.size() > most) {
    list += fmt::format(", and {} more", names.size() - most);
  }
  return list;
}

std::string Utf8(std::string_view text) {
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint point = FirstCodePoint(rest);
    if (point.bytes == 0) return Printable(text);
    rest.remove_prefix(point.bytes);
  }
  return std::string(text);
}

size_t Width(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  return width;
}

void Print(std::string_view text) {
  (void)std::fwrite(text.data(), 1, text.size(), stdout);
}

bool FlushOutput() { return std::fflush(stdout) == 0 && !std::ferror(stdout); }

void PrintError(std::string_view message) {
  // In order with what was printed, where both go to one terminal.
  (void)FlushOutput();
  const std::string line = fmt::format("caisson: {}\n", Printable(message));
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

int Fail(const Status& status) {
  PrintError(status.message());
  return kFailed;
}

}  // namespace caisson::cli
