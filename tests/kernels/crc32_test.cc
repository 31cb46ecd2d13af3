// SPDX-License-Identifier: Apache-2.0
#include "caisson/crc32.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"

namespace caisson {
namespace {

using Bytes = std::span<const std::byte>;

Bytes BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

uint32_t ZlibCrc32(uint32_t crc, Bytes bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// One bit at a time, after RFC 1952 section 8.
uint32_t PlainCrc32(uint32_t crc, Bytes bytes) {
  crc = ~crc;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
    }
  }
  return ~crc;
}

// A linear map of the 32 bits of the register: the image of each bit.
using Map = std::array<uint32_t, 32>;

uint32_t Apply(const Map& map, uint32_t vector) {
  uint32_t image = 0;
  for (size_t bit = 0; bit < 32; ++bit) {
    if ((vector >> bit & 1) != 0) image ^= map[bit];
  }
  return image;
}

// What 2^log2_bytes bytes of zero do to the register. Squares of a matrix: a
// different way than that of the code under test.
Map ZeroBytes(int log2_bytes) {
  Map map;
  for (size_t bit = 0; bit < 32; ++bit) {
    const std::byte zero{};
    map[bit] = ~PlainCrc32(~(uint32_t{1} << bit), {&zero, 1});
  }
  for (; log2_bytes > 0; --log2_bytes) {
    Map squared;
    for (size_t bit = 0; bit < 32; ++bit) squared[bit] = Apply(map, map[bit]);
    map = squared;
  }
  return map;
}

using Crc32Test = KernelTest;

TEST_P(Crc32Test, MatchesPublishedVectors) {
  const struct {
    std::string text;
    uint32_t crc;
  } kVectors[] = {
      {"", 0},
      {"123456789", 0xCBF43926},  // the check value of CRC-32/ISO-HDLC
      {"a", 0xE8B7BE43},
      {"abc", 0x352441C2},
      {"message digest", 0x20159D7F},
      {"abcdefghijklmnopqrstuvwxyz", 0x4C2750BD},
      {"The quick brown fox jumps over the lazy dog", 0x414FA339},
      {"1234567890123456789012345678901234567890"
       "1234567890123456789012345678901234567890",
       0x7CA94A72},
      {std::string(32, '\x00'), 0x190A55AD},
      {std::string(32, '\xFF'), 0xFF6CAB0B},
  };
  for (const auto& vector : kVectors) {
    EXPECT_EQ(Crc32(0, BytesOf(vector.text)), vector.crc) << vector.text;
    EXPECT_EQ(PlainCrc32(0, BytesOf(vector.text)), vector.crc) << vector.text;
  }
}

TEST_P(Crc32Test, OfNothingIsWhatItWas) {
  EXPECT_EQ(Crc32(0, {}), 0u);
  EXPECT_EQ(Crc32(0xDEADBEEF, {}), 0xDEADBEEFu);
}

// Past four vectors of 64 bytes, and past the 512 that a loop of eight folds.
TEST_P(Crc32Test, MatchesPlainLoopAtEveryLengthAndAlignmentBetweenGuards) {
  constexpr size_t kLongest = 300;
  const GuardedBuffer memory(2048);
  FillRandom(memory.all(), 1);
  for (size_t gap = 0; gap < 64; ++gap) {
    uint32_t expected = 0x12345678;
    const Bytes longest = memory.AtStart(kLongest, gap);
    for (size_t bytes = 0; bytes <= kLongest; ++bytes) {
      ASSERT_EQ(Crc32(0x12345678, longest.first(bytes)), expected)
          << bytes << " bytes, " << gap << " after the guard";
      if (bytes < kLongest) {
        expected = PlainCrc32(expected, longest.subspan(bytes, 1));
      }
    }
    for (size_t bytes = 0; bytes <= kLongest; ++bytes) {
      const Bytes data = memory.AtEnd(bytes, gap);
      ASSERT_EQ(Crc32(0x12345678, data), ZlibCrc32(0x12345678, data))
          << bytes << " bytes, " << gap << " before the guard";
    }
  }
}

TEST_P(Crc32Test, MatchesZlibAroundEveryMultipleOfTheWidestLoop) {
  const GuardedBuffer memory(8 * 512 + 1);
  FillRandom(memory.all(), 2);
  for (size_t around = 512; around <= 8 * 512; around += 512) {
    for (size_t bytes = around - 80; bytes <= around + 1; ++bytes) {
      const Bytes data = memory.AtEnd(bytes);
      ASSERT_EQ(Crc32(0, data), ZlibCrc32(0, data)) << bytes;
    }
  }
}

TEST_P(Crc32Test, MatchesZlibOnLongData) {
  constexpr size_t kMiB = size_t{1} << 20;
  for (const size_t bytes : {kMiB + 1, kMiB + 77, 3 * kMiB + 513}) {
    const GuardedBuffer memory(bytes);
    FillRandom(memory.all(), bytes);
    const Bytes data = memory.AtEnd(bytes);
    EXPECT_EQ(Crc32(0, data), ZlibCrc32(0, data)) << bytes;
  }
}

TEST_P(Crc32Test, ContinuesFromEveryByte) {
  const std::vector<std::byte> bytes = RandomBytes(1500, 3);
  const uint32_t whole = ZlibCrc32(0, bytes);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    const uint32_t first = Crc32(0, Bytes(bytes).first(split));
    ASSERT_EQ(Crc32(first, Bytes(bytes).subspan(split)), whole) << split;
  }
}

TEST_P(Crc32Test, CombinesToTheCrcOfTheConcatenation) {
  std::mt19937 random(4);
  const std::vector<std::byte> bytes = RandomBytes(100'000, 4);
  const uint32_t whole = ZlibCrc32(0, bytes);
  for (int i = 0; i < 2000; ++i) {
    const size_t split = random() % (bytes.size() + 1);
    const uint32_t a = Crc32(0, Bytes(bytes).first(split));
    const uint32_t b = Crc32(0, Bytes(bytes).subspan(split));
    ASSERT_EQ(Crc32Combine(a, b, bytes.size() - split), whole) << split;
  }
}

TEST_P(Crc32Test, CombinedWithNothingIsTheOther) {
  EXPECT_EQ(Crc32Combine(0xCBF43926, 0, 0), 0xCBF43926u);
  EXPECT_EQ(Crc32Combine(0, 0xCBF43926, 9), 0xCBF43926u);
}

TEST_P(Crc32Test, CombinesAsZlibDoesAtEveryMagnitude) {
  std::mt19937_64 random(5);
  for (int bits = 1; bits < 63; ++bits) {  // zlib takes a signed length
    for (int i = 0; i < 20; ++i) {
      const auto a = static_cast<uint32_t>(random());
      const auto b = static_cast<uint32_t>(random());
      const uint64_t bytes_b = random() >> (64 - bits);
      ASSERT_EQ(Crc32Combine(a, b, bytes_b),
                crc32_combine64(a, b, static_cast<z_off64_t>(bytes_b)))
          << bytes_b;
    }
  }
}

TEST_P(Crc32Test, CombinesRunsOfZeroTooLongToRead) {
  const uint32_t crc_a = 0xCBF43926;
  for (int log2_bytes = 0; log2_bytes < 64; ++log2_bytes) {
    const Map zeros = ZeroBytes(log2_bytes);
    const uint32_t crc_zeros = ~Apply(zeros, ~0u);
    const uint32_t crc_both = ~Apply(zeros, ~crc_a);
    EXPECT_EQ(Crc32Combine(crc_a, crc_zeros, uint64_t{1} << log2_bytes),
              crc_both)
        << "2^" << log2_bytes << " bytes";
  }
}

TEST_P(Crc32Test, CombinesInAnyOrder) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 1000; ++i) {
    const auto a = static_cast<uint32_t>(random());
    const auto b = static_cast<uint32_t>(random());
    const auto c = static_cast<uint32_t>(random());
    const uint64_t bytes_b = random() / 2;
    const uint64_t bytes_c = random() / 2;
    ASSERT_EQ(Crc32Combine(Crc32Combine(a, b, bytes_b), c, bytes_c),
              Crc32Combine(a, Crc32Combine(b, c, bytes_c), bytes_b + bytes_c))
        << bytes_b << " and " << bytes_c << " bytes";
  }
}

TEST_P(Crc32Test, CopiesInTheSamePass) {
  const GuardedBuffer source(70'000);
  const GuardedBuffer target(70'000);
  FillRandom(source.all(), 7);
  for (const size_t bytes : {0, 1, 63, 64, 1000, 8192, 8193, 65'537}) {
    const Bytes src = source.AtEnd(bytes);
    const auto dst = target.AtEnd(bytes, bytes % 5);
    FillRandom(target.all(), 8);
    std::vector<std::byte> expected(target.all().begin(), target.all().end());
    std::copy(src.begin(), src.end(),
              expected.begin() + (dst.data() - target.all().data()));
    EXPECT_EQ(Crc32Copy(0x1234, src, dst.data()), ZlibCrc32(0x1234, src));
    EXPECT_TRUE(std::ranges::equal(target.all(), expected)) << bytes;
  }
}

TEST_P(Crc32Test, SwapsInTheSamePass) {
  std::vector<std::byte> src = RandomBytes(4096 * 3 + 8, 9);
  for (const size_t width : {2, 4, 8}) {
    std::vector<std::byte> swapped = src;
    for (size_t i = 0; i < swapped.size(); i += width) {
      std::reverse(swapped.begin() + i, swapped.begin() + i + width);
    }
    std::vector<std::byte> found(src.size());
    EXPECT_EQ(Crc32CopySwapped(5, src, width, found.data()),
              ZlibCrc32(5, swapped));
    EXPECT_EQ(found, swapped);
    // In place.
    EXPECT_EQ(Crc32CopySwapped(5, found, width, found.data()),
              ZlibCrc32(5, src));
    EXPECT_EQ(found, src);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTargets, Crc32Test,
                         testing::ValuesIn(RunnableSimdTargets()), TableName);

}  // namespace
}  // namespace caisson
