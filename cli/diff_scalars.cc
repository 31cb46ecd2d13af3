// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_scalars.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <complex>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/diff_tensors.h"
#include "cli/units.h"
#include "cli/value_text.h"

namespace caisson::cli {
namespace {

constexpr size_t kWidth = 60;

uint64_t BitsOf(double value) { return std::bit_cast<uint64_t>(value); }

// The content of a str, bytes or bytearray.
const std::string* ContentOf(const Node& node) {
  if (const Bytes* bytes = node.As<Bytes>()) return &bytes->data;
  if (const ByteArray* bytes = node.As<ByteArray>()) return &bytes->data;
  return node.AsStr();
}

// What tells a value from one that looks the same.
std::string Detail(const Node& node, const Node& other) {
  if (const double* number = node.As<double>()) {
    return fmt::format(" (0x{:016x})", BitsOf(*number));
  }
  if (const auto* number = node.As<std::complex<double>>()) {
    return fmt::format(" (0x{:016x}, 0x{:016x})", BitsOf(number->real()),
                       BitsOf(number->imag()));
  }
  const std::string* text = ContentOf(node);
  const std::string* other_text = ContentOf(other);
  if (text == nullptr || other_text == nullptr) return "";
  const auto [at, unused] = std::ranges::mismatch(*text, *other_text);
  const auto byte = at - text->begin();
  if (at == text->end()) return fmt::format(" (ends at byte {})", byte);
  return fmt::format(" (0x{:02x} at byte {})", static_cast<uint8_t>(*at), byte);
}

}  // namespace

std::string Brief(const Node& node) {
  if (const auto tensor = TensorOf(node)) return TensorHead(*tensor);
  if (const auto* storage = node.As<StorageHandle>()) {
    return "storage of " + ByteText((*storage)->region.bytes);
  }
  if (const auto text = ShortText(node, kWidth)) return *text;
  const bool container = ItemsOf(node) || node.As<Dict>() || node.As<Object>();
  return container ? HeadText(node) : FrontText(node, kWidth - 20);
}

bool SameBits(const Node& a, const Node& b) {
  if (const bool* truth = a.As<bool>()) return *truth == *b.As<bool>();
  if (const Integer* integer = a.As<Integer>()) {
    return *integer == *b.As<Integer>();
  }
  if (const double* number = a.As<double>()) {
    return BitsOf(*number) == BitsOf(*b.As<double>());
  }
  if (const auto* number = a.As<std::complex<double>>()) {
    const auto* other = b.As<std::complex<double>>();
    return BitsOf(number->real()) == BitsOf(other->real()) &&
           BitsOf(number->imag()) == BitsOf(other->imag());
  }
  if (const Global* global = a.As<Global>()) return *global == *b.As<Global>();
  const std::string* text = ContentOf(a);
  const std::string* other = ContentOf(b);
  return text != nullptr && other != nullptr && *text == *other;
}

std::pair<std::string, std::string> BriefPair(const Node& a, const Node& b) {
  std::pair<std::string, std::string> pair = {Brief(a), Brief(b)};
  if (pair.first == pair.second) {
    pair.first += Detail(a, b);
    pair.second += Detail(b, a);
  }
  return pair;
}

}  // namespace caisson::cli
