// SPDX-License-Identifier: Apache-2.0
//
// A map from objects, by address, to small values: flat, where
// std::unordered_map would allocate for each of a million keys.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace caisson {

// Open addressing, at most half full. Keys are never null, and never taken
// out. No file chooses an address, so that nobody can make them collide.
template <class T>
class IdentityMap {
 public:
  // The value under `key`, or nullptr. Valid until the next insertion.
  const T* Find(const void* key) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[Position(key)];
    return slot.key != nullptr ? &slot.value : nullptr;
  }
  T* Find(const void* key) {
    return const_cast<T*>(std::as_const(*this).Find(key));
  }

  // The value under `key` and false, or `value`, which it has from now on, and
  // true. Valid until the next insertion. REQUIRES: key != nullptr.
  std::pair<T*, bool> TryEmplace(const void* key, T value) {
    if (2 * size_ >= slots_.size()) Resize(2 * slots_.size());
    Slot& slot = slots_[Position(key)];
    if (slot.key != nullptr) return {&slot.value, false};
    slot = {key, std::move(value)};
    ++size_;
    return {&slot.value, true};
  }

  // Makes room for `count` keys.
  void Reserve(size_t count) {
    if (2 * count > slots_.size()) Resize(2 * count);
  }

 private:
  struct Slot {
    const void* key = nullptr;
    T value{};
  };

  // Of the slot that has `key`, or that is free for it.
  size_t Position(const void* key) const {
    const uint64_t bits = reinterpret_cast<uintptr_t>(key);
    const size_t last = slots_.size() - 1;
    // The high half of the product depends on every bit of the address.
    size_t at = static_cast<size_t>(bits * 0x9e3779b97f4a7c15u >> 32) & last;
    while (slots_[at].key != nullptr && slots_[at].key != key) {
      at = (at + 1) & last;
    }
    return at;
  }

  void Resize(size_t least) {
    constexpr size_t kLeast = 16;
    std::vector<Slot> old(std::bit_ceil(least < kLeast ? kLeast : least));
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.key == nullptr) continue;
      slots_[Position(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two of them, or none
  size_t size_ = 0;
};

}  // namespace caisson
