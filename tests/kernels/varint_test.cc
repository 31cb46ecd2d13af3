// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

constexpr DType kTypes[] = {
    DType::kBool, DType::kUInt8, DType::kUInt16, DType::kFloat16,
    DType::kInt8, DType::kInt16, DType::kInt32,  DType::kInt64,
};

// The number that an element counts as, by the plainest code.
uint64_t NumberOf(DType dtype, const std::byte* elem) {
  const auto as = [&]<class T>(T value) {
    std::memcpy(&value, elem, sizeof(T));
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  };
  switch (dtype) {
    case DType::kInt8:
      return as(int8_t{});
    case DType::kInt16:
      return as(int16_t{});
    case DType::kInt32:
      return as(int32_t{});
    case DType::kInt64:
      return as(int64_t{});
    case DType::kUInt16:
    case DType::kFloat16:
      return as(uint16_t{});
    default:
      return as(uint8_t{});
  }
}

Bytes PlainVarints(DType dtype, const Bytes& elems) {
  Bytes made;
  for (size_t at = 0; at < elems.size(); at += ByteWidth(dtype)) {
    uint64_t number = NumberOf(dtype, &elems[at]);
    for (; number >= 0x80; number >>= 7) {
      made.push_back(std::byte(number & 0x7F) | std::byte{0x80});
    }
    made.push_back(std::byte(number));
  }
  return made;
}

// Some are small, some any, some runs of small ones.
Bytes SomeElems(DType dtype, size_t count, uint64_t seed) {
  const size_t width = ByteWidth(dtype);
  Bytes elems = RandomBytes(count * width, seed);
  const Bytes coins = RandomBytes(count, seed + 1);
  for (size_t i = 0; i < count; ++i) {
    const bool run = i / 64 % 2 == 1;
    const bool small = run || std::to_integer<int>(coins[i]) % 2 == 0;
    if (dtype == DType::kBool) elems[i] &= std::byte{1};
    if (!small) continue;
    uint64_t value = std::to_integer<uint64_t>(elems[i * width]) & 0x7F;
    if (dtype == DType::kBool) value &= 1;
    // Native order, whichever that is.
    switch (width) {
      case 1: {
        elems[i] = std::byte(value);
        break;
      }
      case 2: {
        const auto two = static_cast<uint16_t>(value);
        std::memcpy(&elems[i * 2], &two, 2);
        break;
      }
      case 4: {
        const auto four = static_cast<uint32_t>(value);
        std::memcpy(&elems[i * 4], &four, 4);
        break;
      }
      default:
        std::memcpy(&elems[i * 8], &value, 8);
    }
  }
  return elems;
}

class VarintTest : public KernelTest {
 protected:
  Result<size_t> Encode(DType dtype, std::span<const std::byte> src,
                        std::span<std::byte> dst) {
    size_t stored = 0;
    const VarintEncodeJob job = {src.data(), src.size() / ByteWidth(dtype), dst,
                                 &stored};
    const Status status = kernels().encode_varints(dtype, {&job, 1}, {});
    if (!status.ok()) return status;
    return stored;
  }

  Status Decode(DType dtype, std::span<const std::byte> src,
                std::span<std::byte> dst) {
    const VarintDecodeJob job = {src, dst.data(),
                                 dst.size() / ByteWidth(dtype)};
    return kernels().decode_varints(dtype, {&job, 1}, {});
  }
};

TEST_P(VarintTest, EveryLengthIsTheSameAsAPlainLoopBetweenGuards) {
  for (const DType dtype : kTypes) {
    for (size_t count = 0; count < 200; ++count) {
      const Bytes elems = SomeElems(dtype, count, 7 * count + 1);
      const Bytes expected = PlainVarints(dtype, elems);
      EXPECT_THAT(Encode(dtype, elems, {}), IsOkAndHolds(expected.size()));
      GuardedBuffer src(elems.size());
      GuardedBuffer dst(expected.size());
      const auto from = src.AtEnd(elems.size());
      const auto to = dst.AtEnd(expected.size());
      std::ranges::copy(elems, from.begin());
      if (count > 0) {
        ASSERT_THAT(Encode(dtype, from, to), IsOkAndHolds(expected.size()));
        ASSERT_TRUE(std::ranges::equal(to, expected))
            << Name(dtype) << " " << count;
      }
      std::ranges::fill(from, std::byte{0});
      ASSERT_THAT(Decode(dtype, to, from), IsOk());
      ASSERT_TRUE(std::ranges::equal(from, elems))
          << Name(dtype) << " " << count;
    }
  }
}

TEST_P(VarintTest, AllNumbersOfSixteenBitsComeBack) {
  for (const DType dtype : {DType::kUInt16, DType::kInt16, DType::kFloat16}) {
    Bytes elems(2 * 65536);
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto value = static_cast<uint16_t>(i);
      std::memcpy(&elems[2 * i], &value, 2);
    }
    Bytes stored(10 * 65536);
    CAISSON_ASSERT_OK_AND_ASSIGN(const size_t bytes,
                                 Encode(dtype, elems, stored));
    stored.resize(bytes);
    EXPECT_EQ(stored, PlainVarints(dtype, elems));
    Bytes back(elems.size());
    ASSERT_THAT(Decode(dtype, stored, back), IsOk());
    EXPECT_EQ(back, elems);
  }
}

TEST_P(VarintTest, ANegativeNumberTakesTenBytes) {
  const int8_t values[] = {-1, 1};
  const std::byte expected[] = {
      std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
      std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
      std::byte{0xff}, std::byte{0x01}, std::byte{0x01}};
  Bytes stored(11);
  EXPECT_THAT(Encode(DType::kInt8, std::as_bytes(std::span(values)), stored),
              IsOkAndHolds(11u));
  EXPECT_TRUE(std::ranges::equal(stored, expected));
}

TEST_P(VarintTest, KeepsTheLowBitsOfWhatIsTooLarge) {
  const Bytes stored = {std::byte{0xAC}, std::byte{0x02}};  // 300
  Bytes byte(1);
  ASSERT_THAT(Decode(DType::kUInt8, stored, byte), IsOk());
  EXPECT_EQ(byte[0], std::byte{300 - 256});
  ASSERT_THAT(Decode(DType::kBool, stored, byte), IsOk());
  EXPECT_EQ(byte[0], std::byte{1});
}

TEST_P(VarintTest, RefusesWhatIsTooFewTooManyOrTooLong) {
  Bytes dst(8 * 40);
  const auto decode = [&](const Bytes& src, size_t elems) {
    return Decode(DType::kInt64, src, std::span(dst).first(8 * elems));
  };
  EXPECT_THAT(decode(Bytes(3), 3), IsOk());
  EXPECT_THAT(decode(Bytes(3), 2), StatusIs(StatusCode::kCorrupt));
  EXPECT_THAT(decode(Bytes(3), 4), StatusIs(StatusCode::kCorrupt));
  Bytes cut(40, std::byte{1});
  cut.back() = std::byte{0x80};
  EXPECT_THAT(decode(cut, 40), StatusIs(StatusCode::kCorrupt));
  Bytes eleven(11, std::byte{0x80});
  eleven.back() = std::byte{1};
  EXPECT_THAT(decode(eleven, 1), StatusIs(StatusCode::kCorrupt));
  eleven.erase(eleven.begin());
  EXPECT_THAT(decode(eleven, 1), IsOk());
}

TEST_P(VarintTest, RefusesTooLittleRoomAndOtherTypes) {
  const Bytes elems = SomeElems(DType::kInt32, 70, 3);
  const size_t whole = PlainVarints(DType::kInt32, elems).size();
  for (size_t room = 1; room < whole; ++room) {
    GuardedBuffer dst(room);
    EXPECT_THAT(Encode(DType::kInt32, elems, dst.AtEnd(room)),
                StatusIs(StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(Encode(DType::kFloat32, elems, {}),
              StatusIs(StatusCode::kUnsupported));
}

INSTANTIATE_TEST_SUITE_P(AllTables, VarintTest,
                         testing::ValuesIn(RunnableSimdTargets()), TableName);

}  // namespace
}  // namespace caisson
