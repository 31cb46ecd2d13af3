// SPDX-License-Identifier: Apache-2.0
#include "tests/support/canonical_words.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>

#include "caisson/dtype.h"
#include "core/base/endian.h"

namespace caisson {

std::string Hex(std::string_view data) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * data.size());
  for (const char c : data) {
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return hex;
}

std::string StorageHex(const Storage& storage) {
  const Region& region = storage.region;
  std::string bytes(reinterpret_cast<const char*>(region.data), region.bytes);
  const size_t width =
      kNativeOrder == ByteOrder::kBig && storage.dtype.has_value()
          ? SwapWidth(*storage.dtype)
          : 1;
  for (size_t at = 0; width > 1 && at + width <= bytes.size(); at += width) {
    std::reverse(&bytes[at], &bytes[at] + width);
  }
  return Hex(bytes);
}

std::string Bits(double value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64,
                std::bit_cast<uint64_t>(value));
  return text;
}

std::string Dims(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (const int64_t value : values) {
    if (text.size() > 1) text += ',';
    text += std::to_string(value);
  }
  return text + "]";
}

std::string Flag(bool value) { return value ? "1" : "0"; }

// A tuple, list or torch.Size of ints; none for anything else.
std::optional<std::vector<int64_t>> AsInts(const Node& node) {
  if (const Object* object = node.As<Object>()) {
    const Tuple* args = object->args.As<Tuple>();
    if (object->global().dotted() != "torch.Size" || args == nullptr ||
        args->items.size() > 1) {
      return std::nullopt;
    }
    if (args->items.empty()) return std::vector<int64_t>();
    return AsInts(args->items[0]);
  }
  const Tuple* tuple = node.As<Tuple>();
  const List* list = node.As<List>();
  if (tuple == nullptr && list == nullptr) return std::nullopt;
  std::vector<int64_t> ints;
  for (const Node& item : tuple != nullptr ? tuple->items : list->items) {
    const Integer* integer = item.As<Integer>();
    const auto value = integer != nullptr ? integer->ToInt64() : std::nullopt;
    if (!value) return std::nullopt;
    ints.push_back(*value);
  }
  return ints;
}

}  // namespace caisson
