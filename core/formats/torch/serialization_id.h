// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

namespace caisson::torch {

// std::hash<std::string> of libstdc++ on little-endian machines of 64 bits,
// on every machine.
struct NameHash {
  size_t operator()(std::string_view name) const;
};

// The content of ".data/serialization_id": formats.md 1.8. Fed with every
// record before it, in file order.
class SerializationId {
 public:
  static constexpr size_t kBytes = 40;

  // A record's name, without the folder.
  void AddName(std::string_view name) { names_.emplace(name); }

  // A record's payload by its size and first bytes: stock mistakes one that
  // begins like a data descriptor for one.
  void AddPayload(uint64_t bytes, std::span<const std::byte, 8> head);

  // The CRC in a record's data descriptor; empty records have none.
  void AddDescriptor(uint32_t crc32);

  // Two decimals of 20 digits.
  std::array<char, kBytes> Digits() const;

 private:
  // In the order of this set's iteration, as in stock: libstdc++'s.
  std::unordered_set<std::string, NameHash> names_;
  uint64_t crcs_ = 0;
};

}  // namespace caisson::torch
