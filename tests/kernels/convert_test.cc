// SPDX-License-Identifier: Apache-2.0
//
// Op::kConvert on every table, against formats taken from their definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/float_values.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

struct Small {
  DType dtype;
  SmallFloat format;
};

const Small kSmall[] = {{DType::kFloat16, kFloat16Format},
                        {DType::kBFloat16, kBFloat16Format},
                        {DType::kFloat8E5M2, kFloat8E5M2Format},
                        {DType::kFloat8E4M3Fn, kFloat8E4M3Format}};

const DType kFloats[] = {DType::kFloat64,    DType::kFloat32,
                         DType::kFloat16,    DType::kBFloat16,
                         DType::kFloat8E5M2, DType::kFloat8E4M3Fn};

const DType kIntegers[] = {DType::kInt64,  DType::kInt32,  DType::kInt16,
                           DType::kInt8,   DType::kUInt64, DType::kUInt32,
                           DType::kUInt16, DType::kUInt8};

class ConvertTest : public KernelTest {
 protected:
  Status Convert(DType from, DType to, Job job) {
    const Step step = {.op = Op::kConvert, .from = from, .to = to};
    return kernels().transform(step, {&job, 1}, {}, {});
  }

  // All of `src`, converted. The test ends if that fails.
  template <typename To, typename From>
  std::vector<To> Converted(DType from, DType to,
                            const std::vector<From>& src) {
    EXPECT_EQ(sizeof(From), ByteWidth(from));
    EXPECT_EQ(sizeof(To), ByteWidth(to));
    std::vector<To> dst(src.size());
    CAISSON_EXPECT_OK(
        Convert(from, to,
                {.src = reinterpret_cast<const std::byte*>(src.data()),
                 .dst = reinterpret_cast<std::byte*>(dst.data()),
                 .elems = src.size()}));
    return dst;
  }

  // float32 to a small format, as codes.
  std::vector<uint32_t> Narrowed(const Small& small,
                                 const std::vector<float>& src) {
    if (ByteWidth(small.dtype) == 1) {
      const auto codes = Converted<uint8_t>(DType::kFloat32, small.dtype, src);
      return {codes.begin(), codes.end()};
    }
    const auto codes = Converted<uint16_t>(DType::kFloat32, small.dtype, src);
    return {codes.begin(), codes.end()};
  }

  // Every code of a small format to float32.
  std::vector<float> Widened(const Small& small) {
    if (ByteWidth(small.dtype) == 1) {
      std::vector<uint8_t> codes(256);
      for (uint32_t i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
      return Converted<float>(small.dtype, DType::kFloat32, codes);
    }
    std::vector<uint16_t> codes(65536);
    for (uint32_t i = 0; i < 65536; ++i) codes[i] = static_cast<uint16_t>(i);
    return Converted<float>(small.dtype, DType::kFloat32, codes);
  }
};

TEST_P(ConvertTest, WidensEveryCodeToItsValue) {
  for (const Small& small : kSmall) {
    SCOPED_TRACE(Name(small.dtype));
    const std::vector<float> values = Widened(small);
    ASSERT_EQ(values.size(), small.format.count());
    for (uint32_t code = 0; code < values.size(); ++code) {
      const double expected = small.format.Value(code);
      ASSERT_EQ(std::isnan(values[code]), std::isnan(expected)) << code;
      if (std::isnan(expected)) continue;
      ASSERT_EQ(values[code], expected) << code;
      ASSERT_EQ(std::signbit(values[code]), std::signbit(expected)) << code;
    }
  }
}

// bfloat16 is widened as it is; the others quieten.
TEST_P(ConvertTest, GivesEveryCodeBackButForSignallingNaN) {
  for (const Small& small : kSmall) {
    SCOPED_TRACE(Name(small.dtype));
    const uint32_t quiet =
        small.format.has_infinity ? 1u << (small.format.mantissa_bits - 1) : 0;
    const std::vector<float> values = Widened(small);
    const std::vector<uint32_t> codes = Narrowed(small, values);
    for (uint32_t code = 0; code < codes.size(); ++code) {
      const bool nan = std::isnan(small.format.Value(code));
      uint32_t expected = nan ? code | quiet : code;
      if (nan && ByteWidth(small.dtype) == 1) expected = code | 0x7F;
      ASSERT_EQ(codes[code], expected) << code;
    }
  }
}

// float32 numbers around every place where rounding changes: the numbers of
// the format, the middles between them, and the neighbours of both.
std::vector<float> RoundingCases(const SmallFloat& format) {
  std::vector<double> places;
  for (uint32_t code = 0; code <= format.Largest(); ++code) {
    const double value = format.Value(code);
    const double next = code == format.Largest()
                            ? 2 * value - format.Value(code - 1)
                            : format.Value(code + 1);
    places.push_back(value);
    places.push_back((value + next) / 2);
    if (code == format.Largest()) places.push_back(next);
  }
  std::vector<float> cases;
  for (const double place : places) {
    const auto value = static_cast<float>(place);
    for (const float near :
         {std::nextafter(value, 0.0f), value,
          std::nextafter(value, std::numeric_limits<float>::infinity())}) {
      cases.push_back(near);
      cases.push_back(-near);
    }
  }
  return cases;
}

TEST_P(ConvertTest, RoundsToNearestEvenWhereverRoundingChanges) {
  for (const Small& small : kSmall) {
    SCOPED_TRACE(Name(small.dtype));
    const NearestEven nearest(small.format);
    const std::vector<float> cases = RoundingCases(small.format);
    const std::vector<uint32_t> codes = Narrowed(small, cases);
    for (size_t i = 0; i < cases.size(); ++i) {
      ASSERT_EQ(codes[i], nearest.Round(cases[i])) << std::hexfloat << cases[i];
    }
  }
}

TEST_P(ConvertTest, RoundsAnyBitsOfFloat32) {
  std::vector<uint32_t> bits(1 << 16);
  FillRandom(std::as_writable_bytes(std::span(bits)), 1);
  for (const uint32_t special :
       {0u, 1u, 0x7FFFFFu, 0x800000u, 0x7F7FFFFFu, 0x7F800000u, 0x33000000u,
        0x33000001u, 0x387FC000u, 0x387FE000u, 0x477FEFFFu, 0x477FF000u,
        0x43E80000u, 0x43E80001u, 0x43EFFFFFu, 0x43F00000u}) {
    bits.push_back(special);
    bits.push_back(special | 0x80000000u);
  }
  std::vector<float> values;
  for (const uint32_t b : bits) values.push_back(std::bit_cast<float>(b));
  for (const Small& small : kSmall) {
    SCOPED_TRACE(Name(small.dtype));
    const NearestEven nearest(small.format);
    const std::vector<uint32_t> codes = Narrowed(small, values);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i])) {
        ASSERT_TRUE(std::isnan(small.format.Value(codes[i]))) << bits[i];
      } else {
        ASSERT_EQ(codes[i], nearest.Round(values[i])) << bits[i];
      }
    }
  }
}

TEST_P(ConvertTest, KeepsSignAndPayloadOfNaN) {
  std::vector<float> values;
  std::vector<uint32_t> bits;
  for (uint32_t payload = 1; payload < 0x800000; payload += 4093) {
    for (const uint32_t sign : {0u, 0x80000000u}) {
      bits.push_back(sign | 0x7F800000u | payload);
      values.push_back(std::bit_cast<float>(bits.back()));
    }
  }
  const auto bf16 = Narrowed(kSmall[1], values);
  const auto fp16 = Narrowed(kSmall[0], values);
  const auto e5m2 = Narrowed(kSmall[2], values);
  const auto e4m3 = Narrowed(kSmall[3], values);
  for (size_t i = 0; i < bits.size(); ++i) {
    const uint32_t sign = bits[i] >> 31;
    ASSERT_EQ(bf16[i], bits[i] >> 16 | 0x40);
    ASSERT_EQ(fp16[i], sign << 15 | 0x7E00 | (bits[i] >> 13 & 0x3FF));
    ASSERT_EQ(e5m2[i], sign << 7 | 0x7F);
    ASSERT_EQ(e4m3[i], sign << 7 | 0x7F);
  }
}

TEST_P(ConvertTest, RoundsFloat64AsTheLanguageDoes) {
  std::vector<uint64_t> bits(1 << 14);
  FillRandom(std::as_writable_bytes(std::span(bits)), 2);
  std::vector<double> values = {0.0,
                                -0.0,
                                1e300,
                                -1e300,
                                1e-300,
                                1e-40,
                                std::numeric_limits<double>::infinity(),
                                1 + std::ldexp(1, -24),
                                1 + std::ldexp(3, -24)};
  for (const uint64_t b : bits) values.push_back(std::bit_cast<double>(b));
  // Exponents within those of float32 too.
  for (size_t i = 0; i < bits.size(); ++i) {
    values.push_back(std::ldexp(1 + std::ldexp(bits[i] >> 12, -52),
                                static_cast<int>(i % 290) - 150));
  }
  const auto floats =
      Converted<float>(DType::kFloat64, DType::kFloat32, values);
  const auto back = Converted<double>(DType::kFloat32, DType::kFloat64, floats);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(floats[i]) && std::isnan(back[i]));
      continue;
    }
    ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]),
              std::bit_cast<uint32_t>(static_cast<float>(values[i])));
    ASSERT_EQ(back[i], static_cast<double>(floats[i]));
  }
}

// Two types that are not float32 go through it, as in PyTorch.
TEST_P(ConvertTest, GoesThroughFloat32BetweenTheOthers) {
  constexpr size_t kElems = 3001;  // several blocks between the two stages
  for (const DType from : kFloats) {
    std::vector<std::byte> src(kElems * ByteWidth(from));
    FillRandom(src, 3);
    std::vector<std::byte> hub(kElems * sizeof(float));
    CAISSON_ASSERT_OK(
        Convert(from, DType::kFloat32,
                {.src = src.data(), .dst = hub.data(), .elems = kElems}));
    for (const DType to : kFloats) {
      SCOPED_TRACE(std::string(Name(from)) + " to " + std::string(Name(to)));
      std::vector<std::byte> expected(kElems * ByteWidth(to));
      std::vector<std::byte> found(expected.size());
      CAISSON_ASSERT_OK(Convert(
          from, to, {.src = src.data(), .dst = found.data(), .elems = kElems}));
      CAISSON_ASSERT_OK(Convert(
          DType::kFloat32, to,
          {.src = hub.data(), .dst = expected.data(), .elems = kElems}));
      if (from == to) expected = src;
      ASSERT_EQ(found, expected);
    }
  }
}

__int128 IntegerAt(DType dtype, const std::byte* src) {
  uint64_t bits = 0;
  const size_t width = ByteWidth(dtype);
  for (size_t i = 0; i < width; ++i) {
    const size_t at =
        std::endian::native == std::endian::little ? i : width - 1 - i;
    bits |= uint64_t{static_cast<uint8_t>(src[at])} << (8 * i);
  }
  const bool is_signed = Name(dtype).starts_with("int");
  const uint64_t sign = uint64_t{1} << (8 * width - 1);
  return is_signed && (bits & sign) != 0
             ? static_cast<__int128>(bits) - (static_cast<__int128>(sign) << 1)
             : static_cast<__int128>(bits);
}

// Random elements, those at the ends of every range among them.
std::vector<std::byte> IntegerCases(DType dtype, size_t elems) {
  const size_t width = ByteWidth(dtype);
  std::vector<std::byte> bytes(elems * width);
  FillRandom(bytes, width);
  for (size_t i = 0; i + 3 < elems; i += 4) {
    const int bit = static_cast<int>(i / 4 % 65);
    const uint64_t power = bit == 64 ? 0 : uint64_t{1} << bit;
    for (const uint64_t value : {power - 1, power, 0 - power}) {
      const uint64_t shifted = std::endian::native == std::endian::little
                                   ? value
                                   : value << (64 - 8 * width);
      std::memcpy(&bytes[(i + value % 3) * width], &shifted, width);
    }
  }
  return bytes;
}

TEST_P(ConvertTest, ResizesIntegersAndNamesTheFirstThatDoesNotFit) {
  constexpr size_t kElems = 2100;
  for (const DType from : kIntegers) {
    const std::vector<std::byte> src = IntegerCases(from, kElems);
    for (const DType to : kIntegers) {
      SCOPED_TRACE(std::string(Name(from)) + " to " + std::string(Name(to)));
      const size_t width = ByteWidth(to);
      std::vector<std::byte> dst(kElems * width);
      const __int128 span = static_cast<__int128>(1) << (8 * width);
      const bool is_signed = Name(to).starts_with("int");
      const __int128 least = is_signed ? -(span >> 1) : 0;
      std::vector<bool> fits;
      for (size_t i = 0; i < kElems; ++i) {
        const __int128 value = IntegerAt(from, &src[i * ByteWidth(from)]);
        fits.push_back(value >= least && value < least + span);
      }
      // From every start, so that each bad element is the first one once.
      for (size_t start = 0; start < kElems; start += 7) {
        uint64_t bad = 12345;
        CAISSON_ASSERT_OK(Convert(from, to,
                                  {.src = &src[start * ByteWidth(from)],
                                   .dst = dst.data(),
                                   .elems = kElems - start,
                                   .bad = &bad}));
        const auto first = std::find(fits.begin() + start, fits.end(), false);
        ASSERT_EQ(bad, static_cast<uint64_t>(first - fits.begin()) - start);
        for (size_t i = start; i < kElems; i += start == 0 ? 1 : 97) {
          const __int128 value = IntegerAt(from, &src[i * ByteWidth(from)]);
          const __int128 found = IntegerAt(to, &dst[(i - start) * width]);
          ASSERT_TRUE((value - found) % span == 0) << i;
          ASSERT_TRUE(!fits[i] || value == found) << i;
        }
      }
    }
  }
}

TEST_P(ConvertTest, FindsTheOneThatDoesNotFitAtEveryPlace) {
  constexpr size_t kElems = 5000;
  std::vector<int64_t> src(kElems, -2'000'000'000);
  for (const size_t at : {0, 1, 1022, 1023, 1024, 1025, 2047, 4096, 4999}) {
    src[at] = 3'000'000'000;
    uint64_t bad = 0;
    CAISSON_ASSERT_OK(Convert(DType::kInt64, DType::kInt32,
                              {.src = reinterpret_cast<std::byte*>(src.data()),
                               .elems = kElems,
                               .bad = &bad}));  // nothing is stored
    ASSERT_EQ(bad, at);
    src[at] = 2'000'000'000;
  }
}

// A transposed view is read in tiles, which do not come in its order.
TEST_P(ConvertTest, FindsTheFirstOfAViewThatDoesNotFit) {
  constexpr int64_t kRows = 20;
  constexpr int64_t kColumns = 500;
  const std::vector<int64_t> shape = {kRows, kColumns};
  const std::vector<int64_t> strides = {1, kRows};
  const Strides view = {shape, strides};
  for (const auto& [row, column] :
       {std::pair<int64_t, int64_t>{0, 499}, {1, 400}, {7, 0}, {19, 499}}) {
    std::vector<int64_t> src(kRows * kColumns, 5);
    src[column * kRows + row] = int64_t{1} << 40;
    src[0 * kRows + 19] = -(int64_t{1} << 40);  // row 19, column 0
    std::vector<int32_t> dst(src.size());
    uint64_t bad = 0;
    CAISSON_ASSERT_OK(Convert(DType::kInt64, DType::kInt32,
                              {.src = reinterpret_cast<std::byte*>(src.data()),
                               .dst = reinterpret_cast<std::byte*>(dst.data()),
                               .elems = src.size(),
                               .view = &view,
                               .bad = &bad}));
    EXPECT_EQ(bad, row == 19 ? 19u * kColumns
                             : static_cast<uint64_t>(row * kColumns + column));
  }
}

TEST_P(ConvertTest, TakesBoolForZeroAndOne) {
  const std::vector<uint8_t> src = {0, 1, 1, 0};
  EXPECT_EQ(Converted<int64_t>(DType::kBool, DType::kInt64, src),
            (std::vector<int64_t>{0, 1, 1, 0}));
}

// Plain loops of one element at a time are the reference.
TEST_P(ConvertTest, ConvertsEveryLengthAtEveryAlignmentAndTouchesNothingElse) {
  const GuardedBuffer source(4096);
  const GuardedBuffer target(4096);
  const std::pair<DType, DType> pairs[] = {
      {DType::kFloat32, DType::kBFloat16},
      {DType::kBFloat16, DType::kFloat32},
      {DType::kFloat32, DType::kFloat16},
      {DType::kFloat16, DType::kFloat32},
      {DType::kFloat32, DType::kFloat8E4M3Fn},
      {DType::kFloat8E4M3Fn, DType::kFloat32},
      {DType::kFloat32, DType::kFloat8E5M2},
      {DType::kFloat8E5M2, DType::kFloat32},
      {DType::kFloat64, DType::kFloat32},
      {DType::kFloat32, DType::kFloat64},
      {DType::kFloat16, DType::kBFloat16},
      {DType::kInt64, DType::kInt8},
      {DType::kInt8, DType::kInt64},
      {DType::kUInt16, DType::kInt32}};
  for (const auto& [from, to] : pairs) {
    SCOPED_TRACE(std::string(Name(from)) + " to " + std::string(Name(to)));
    const size_t from_width = ByteWidth(from);
    const size_t to_width = ByteWidth(to);
    for (size_t elems = 0; elems < 80; ++elems) {
      for (size_t gap = 0; gap < 9; ++gap) {
        const auto src = source.AtEnd(elems * from_width, gap % 2 * gap);
        const auto dst = target.AtEnd(elems * to_width, gap);
        FillRandom(src, elems);
        FillRandom(target.all(), gap);
        std::vector<std::byte> expected(target.all().begin(),
                                        target.all().end());
        const auto at = static_cast<size_t>(dst.data() - target.all().data());
        for (size_t i = 0; i < elems; ++i) {
          CAISSON_ASSERT_OK(Convert(from, to,
                                    {.src = &src[i * from_width],
                                     .dst = &expected[at + i * to_width],
                                     .elems = 1}));
        }
        CAISSON_ASSERT_OK(Convert(
            from, to, {.src = src.data(), .dst = dst.data(), .elems = elems}));
        ASSERT_TRUE(std::ranges::equal(target.all(), expected))
            << elems << " elements, gap " << gap;
      }
    }
  }
}

TEST_P(ConvertTest, NarrowsInPlaceAndRefusesToWiden) {
  std::vector<float> values(10'000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i) / 3;
  }
  const auto expected =
      Converted<uint16_t>(DType::kFloat32, DType::kBFloat16, values);
  auto* const data = reinterpret_cast<std::byte*>(values.data());
  CAISSON_ASSERT_OK(
      Convert(DType::kFloat32, DType::kBFloat16,
              {.src = data, .dst = data, .elems = values.size()}));
  EXPECT_EQ(std::memcmp(data, expected.data(), 2 * expected.size()), 0);
  EXPECT_THAT(Convert(DType::kBFloat16, DType::kFloat32,
                      {.src = data, .dst = data, .elems = 4}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("in place")));
}

TEST_P(ConvertTest, RefusesPairsThatItLacksAndNamesThem) {
  const std::pair<DType, DType> pairs[] = {
      {DType::kFloat32, DType::kInt32}, {DType::kInt64, DType::kFloat64},
      {DType::kFloat32, DType::kBool},  {DType::kComplex64, DType::kFloat32},
      {DType::kFloat32, DType::kQInt8}, {DType::kUInt8, DType::kBool},
      {DType::kBits16, DType::kFloat16}};
  for (const auto& [from, to] : pairs) {
    EXPECT_THAT(Convert(from, to, {}),
                StatusIs(StatusCode::kUnsupported,
                         HasSubstr(std::string(Name(from)) + " to " +
                                   std::string(Name(to)))));
  }
}

INSTANTIATE_TEST_SUITE_P(AllTables, ConvertTest,
                         testing::ValuesIn(RunnableTables()), TableName);

}  // namespace
}  // namespace caisson
