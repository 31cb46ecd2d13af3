// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic that a device calls one element at a time, on the host.
#include "kernels/float_bits.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "tests/support/float_values.h"

namespace caisson {
namespace {

struct Pair {
  const char* name;
  SmallFloat format;
  uint32_t (*narrow)(uint32_t);
  uint32_t (*widen)(uint32_t);
};

const Pair kPairs[] = {
    {"bfloat16", kBFloat16Format,
     [](uint32_t x) -> uint32_t { return bits::BFloat16FromFloat32(x); },
     [](uint32_t x) {
       return bits::Float32FromBFloat16(static_cast<uint16_t>(x));
     }},
    {"float16", kFloat16Format,
     [](uint32_t x) -> uint32_t { return bits::Float16FromFloat32(x); },
     [](uint32_t x) {
       return bits::Float32FromFloat16(static_cast<uint16_t>(x));
     }},
    {"float8_e5m2", kFloat8E5M2Format,
     [](uint32_t x) -> uint32_t { return bits::Float8E5M2FromFloat32(x); },
     [](uint32_t x) {
       return bits::Float32FromFloat8E5M2(static_cast<uint8_t>(x));
     }},
    {"float8_e4m3fn", kFloat8E4M3Format,
     [](uint32_t x) -> uint32_t { return bits::Float8E4M3FromFloat32(x); },
     [](uint32_t x) {
       return bits::Float32FromFloat8E4M3(static_cast<uint8_t>(x));
     }},
};

TEST(FloatBits, WidensEveryCodeToItsValueAndBack) {
  for (const Pair& pair : kPairs) {
    for (uint32_t code = 0; code < pair.format.count(); ++code) {
      const uint32_t wide = pair.widen(code);
      const double value = pair.format.Value(code);
      const auto found = std::bit_cast<float>(wide);
      if (std::isnan(value)) {
        ASSERT_TRUE(std::isnan(found)) << pair.name << " " << code;
        ASSERT_TRUE(std::isnan(pair.format.Value(pair.narrow(wide))));
        continue;
      }
      ASSERT_EQ(found, value) << pair.name << " " << code;
      ASSERT_EQ(pair.narrow(wide), code) << pair.name;
    }
  }
}

TEST(FloatBits, RoundsToTheNearestCode) {
  std::mt19937 random(1);
  for (const Pair& pair : kPairs) {
    const NearestEven nearest(pair.format);
    for (uint32_t code = 0; code <= pair.format.Largest(); ++code) {
      // The middle between two numbers and its neighbours, and any between.
      const double here = pair.format.Value(code);
      const double next = code == pair.format.Largest()
                              ? 2 * here - pair.format.Value(code - 1)
                              : pair.format.Value(code + 1);
      const auto at =
          std::bit_cast<uint32_t>(static_cast<float>((here + next) / 2));
      const auto anything = std::bit_cast<uint32_t>(
          static_cast<float>(here + (next - here) * (random() / 4294967296.0)));
      for (const uint32_t x : {at - 1, at, at + 1, anything}) {
        ASSERT_EQ(pair.narrow(x), nearest.Round(std::bit_cast<float>(x)))
            << pair.name << " " << std::hex << x;
      }
    }
  }
}

}  // namespace
}  // namespace caisson
