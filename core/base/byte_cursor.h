// SPDX-License-Identifier: Apache-2.0
//
// Walks bytes in memory from front to back without ever leaving them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/endian.h"

namespace caisson {

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t offset() const { return offset_; }
  size_t left() const { return bytes_.size() - offset_; }

  // The next `count` bytes, or none if there are fewer; then nothing moves.
  std::optional<std::span<const std::byte>> Take(uint64_t count) {
    if (count > left()) return std::nullopt;
    const auto taken = bytes_.subspan(offset_, static_cast<size_t>(count));
    offset_ += taken.size();
    return taken;
  }

  // The next little-endian integer.
  template <std::unsigned_integral T>
  std::optional<T> TakeLittle() {
    const auto taken = Take(sizeof(T));
    if (!taken) return std::nullopt;
    return LoadLittle<T>(taken->data());
  }

  // The text up to the next '\n', which is passed over.
  std::optional<std::string_view> TakeLine() {
    if (left() == 0) return std::nullopt;
    const char* text = reinterpret_cast<const char*>(bytes_.data()) + offset_;
    const void* end = std::memchr(text, '\n', left());
    if (end == nullptr) return std::nullopt;
    const size_t size = static_cast<const char*>(end) - text;
    offset_ += size + 1;
    return std::string_view(text, size);
  }

 private:
  std::span<const std::byte> bytes_;
  size_t offset_ = 0;
};

}  // namespace caisson
