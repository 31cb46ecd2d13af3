// SPDX-License-Identifier: Apache-2.0
#include "core/base/endian.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/base/byte_sink.h"

namespace caisson {
namespace {

constexpr unsigned char kBytes[] = {0xff, 0x01, 0x02, 0x03, 0x04,
                                    0x05, 0x06, 0x07, 0x88, 0xff};

TEST(Endian, ReversesTheBytes) {
  EXPECT_EQ(Reversed<uint8_t>(0x12), 0x12);
  EXPECT_EQ(Reversed<uint16_t>(0x1234), 0x3412);
  EXPECT_EQ(Reversed<uint32_t>(0x12345678), 0x78563412u);
  EXPECT_EQ(Reversed<uint64_t>(0x0102030405060788), 0x8807060504030201u);
}

TEST(Endian, LoadsAtAnyAlignment) {
  EXPECT_EQ(LoadLittle<uint8_t>(kBytes + 1), 0x01);
  EXPECT_EQ(LoadLittle<uint16_t>(kBytes + 1), 0x0201);
  EXPECT_EQ(LoadLittle<uint32_t>(kBytes + 1), 0x04030201u);
  EXPECT_EQ(LoadLittle<uint64_t>(kBytes + 1), 0x8807060504030201u);
  EXPECT_EQ(LoadBig<uint8_t>(kBytes + 1), 0x01);
  EXPECT_EQ(LoadBig<uint16_t>(kBytes + 1), 0x0102);
  EXPECT_EQ(LoadBig<uint32_t>(kBytes + 1), 0x01020304u);
  EXPECT_EQ(LoadBig<uint64_t>(kBytes + 1), 0x0102030405060788u);
}

template <class T>
void StoresWhatItLoads() {
  for (size_t at = 0; at < 8; ++at) {
    std::array<unsigned char, 24> bytes;
    bytes.fill(0xaa);
    const T value = LoadLittle<T>(kBytes + 1);
    StoreLittle(value, bytes.data() + at);
    EXPECT_EQ(std::memcmp(bytes.data() + at, kBytes + 1, sizeof(T)), 0);
    StoreBig(LoadBig<T>(kBytes + 1), bytes.data() + at);
    EXPECT_EQ(std::memcmp(bytes.data() + at, kBytes + 1, sizeof(T)), 0);
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i < at || i >= at + sizeof(T)) {
        EXPECT_EQ(bytes[i], 0xaa);
      }
    }
  }
}

TEST(Endian, StoresWhatItLoadsAndTouchesNothingElse) {
  StoresWhatItLoads<uint8_t>();
  StoresWhatItLoads<uint16_t>();
  StoresWhatItLoads<uint32_t>();
  StoresWhatItLoads<uint64_t>();
}

TEST(ByteSink, AppendsInTheStatedOrder) {
  ByteSink sink;
  sink.PutLittle(uint8_t{1});
  sink.PutLittle(uint16_t{0x0203});
  sink.PutBig(uint32_t{0x04050607});
  sink.Put("ab");
  sink.Put("");
  sink.PutFill(2, 'Z');
  sink.PutFill(0, 'Z');
  EXPECT_EQ(sink.size(), 11u);
  const std::vector<std::byte> bytes = sink.Take();
  const char expected[] =
      "\x01\x03\x02\x04\x05\x06\x07"
      "abZZ";
  ASSERT_EQ(bytes.size(), sizeof(expected) - 1);
  EXPECT_EQ(std::memcmp(bytes.data(), expected, bytes.size()), 0);
}

}  // namespace
}  // namespace caisson
