// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/endian.h"

namespace caisson {

// Appends to a growing block of bytes; the counterpart of ByteCursor.
class ByteSink {
 public:
  // Makes room for `bytes` in all.
  void Reserve(size_t bytes) { bytes_.reserve(bytes); }

  size_t size() const { return bytes_.size(); }
  std::vector<std::byte> Take() { return std::move(bytes_); }
  std::span<const std::byte> bytes() const { return bytes_; }

  void Put(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const size_t at = bytes_.size();
    bytes_.resize(at + bytes.size());
    std::memcpy(bytes_.data() + at, bytes.data(), bytes.size());
  }
  void Put(std::string_view text) { Put(std::as_bytes(std::span(text))); }

  void PutFill(size_t count, char fill) {
    bytes_.resize(bytes_.size() + count, static_cast<std::byte>(fill));
  }

  template <std::unsigned_integral T>
  void PutLittle(T value) {
    std::byte bytes[sizeof(T)];
    StoreLittle(value, bytes);
    Put(bytes);
  }

  template <std::unsigned_integral T>
  void PutBig(T value) {
    std::byte bytes[sizeof(T)];
    StoreBig(value, bytes);
    Put(bytes);
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace caisson
