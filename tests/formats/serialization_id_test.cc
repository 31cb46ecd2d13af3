// SPDX-License-Identifier: Apache-2.0
//
// formats.md 1.8; whole ids of stock torch are in torch_golden_test.cc.
#include "core/formats/torch/serialization_id.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

namespace caisson::torch {
namespace {

std::string Digits(const SerializationId& id) {
  const auto digits = id.Digits();
  return {digits.begin(), digits.end()};
}

// formats.md 1.8.
uint64_t Combine(uint64_t seed, uint64_t value) {
  return seed ^ (value + 0x9e3779b9 + (seed << 6) + (seed >> 2));
}

TEST(SerializationId, IsFortyDigitsFromTheStart) {
  EXPECT_EQ(Digits(SerializationId()), std::string(40, '0'));
}

TEST(SerializationId, CombinesTheCrcsInOrder) {
  SerializationId id;
  id.AddDescriptor(0x11223344);
  id.AddDescriptor(0xffffffff);
  const std::string low =
      std::to_string(Combine(Combine(0, 0x11223344), 0xffffffff));
  EXPECT_EQ(Digits(id), std::string(40 - low.size(), '0') + low);
}

TEST(SerializationId, TakesAPayloadThatLooksLikeADescriptorForOne) {
  std::array<std::byte, 8> head;
  std::memcpy(head.data(), "PK\x07\x08\x44\x33\x22\x11", 8);
  SerializationId quirk, plain;
  plain.AddDescriptor(0x11223344);
  quirk.AddPayload(8, head);
  EXPECT_EQ(Digits(quirk), Digits(plain));
  SerializationId shorter;
  shorter.AddPayload(7, head);
  EXPECT_EQ(Digits(shorter), std::string(40, '0'));
  head[0] = std::byte{'p'};
  shorter.AddPayload(100, head);
  EXPECT_EQ(Digits(shorter), std::string(40, '0'));
}

TEST(SerializationId, NamesEachRecordOnce) {
  SerializationId once, twice;
  once.AddName("data.pkl");
  twice.AddName("data.pkl");
  twice.AddName("data.pkl");
  EXPECT_EQ(Digits(once), Digits(twice));
  EXPECT_NE(Digits(once).substr(0, 20), std::string(20, '0'));
}

// std::hash<std::string> of libstdc++ 12 on x86-64. The id was another one on
// big-endian machines once.
TEST(SerializationId, HashesNamesAlikeOnEveryMachine) {
  const NameHash hash;
  EXPECT_EQ(hash(""), 0x553e93901e462a6eu);
  EXPECT_EQ(hash("data/0"), 0x069d3707f0dfe08bu);
  EXPECT_EQ(hash("version"), 0x15ba742bb08e0596u);
  EXPECT_EQ(hash("data.pkl"), 0x44943d565847b09eu);
  EXPECT_EQ(hash(".data/serialization_id"), 0x5bc341cb869e133eu);
}

// As std::unordered_set<std::string> of libstdc++ 12 orders them.
TEST(SerializationId, TakesAThousandNamesInTheOrderOfStock) {
  SerializationId id;
  for (int i = 0; i < 1000; ++i) id.AddName("data/" + std::to_string(i));
  EXPECT_EQ(Digits(id), "05459194408603913877" + std::string(20, '0'));
}

}  // namespace
}  // namespace caisson::torch
