// SPDX-License-Identifier: Apache-2.0
#include "core/formats/torch/serialization_id.h"

#include "core/base/endian.h"
#include "core/formats/zip/zip_format.h"

namespace caisson::torch {
namespace {

uint64_t Combine(uint64_t seed, uint64_t value) {
  return seed ^ (value + 0x9e3779b9 + (seed << 6) + (seed >> 2));
}

void WriteDecimal(uint64_t value, std::span<char> digits) {
  for (size_t i = digits.size(); i-- > 0;) {
    digits[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

uint64_t ShiftMix(uint64_t value) { return value ^ (value >> 47); }

}  // namespace

// MurmurHash64A (Appleby, 2008) with the seed that libstdc++ gives it.
size_t NameHash::operator()(std::string_view name) const {
  constexpr uint64_t kSeed = 0xc70f6907;
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  uint64_t hash = kSeed ^ (name.size() * kMultiplier);
  while (!name.empty()) {
    char word[8] = {};
    const size_t bytes = name.copy(word, sizeof(word));
    name.remove_prefix(bytes);
    uint64_t data = LoadLittle<uint64_t>(word);
    if (bytes == sizeof(word)) {
      data = ShiftMix(data * kMultiplier) * kMultiplier;
    }
    hash = (hash ^ data) * kMultiplier;
  }
  return ShiftMix(ShiftMix(hash) * kMultiplier);
}

void SerializationId::AddPayload(uint64_t bytes,
                                 std::span<const std::byte, 8> head) {
  if (bytes >= head.size() &&
      LoadLittle<uint32_t>(head.data()) == zip::kDescriptorSignature) {
    AddDescriptor(LoadLittle<uint32_t>(head.data() + 4));
  }
}

void SerializationId::AddDescriptor(uint32_t crc32) {
  crcs_ = Combine(crcs_, crc32);
}

std::array<char, SerializationId::kBytes> SerializationId::Digits() const {
  uint64_t names = 0;
  for (const std::string& name : names_) {
    names = Combine(names, NameHash()(name));
  }
  std::array<char, kBytes> digits;
  WriteDecimal(names, std::span(digits).first(kBytes / 2));
  WriteDecimal(crcs_, std::span(digits).last(kBytes / 2));
  return digits;
}

}  // namespace caisson::torch
