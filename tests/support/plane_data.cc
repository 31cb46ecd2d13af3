// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plane_data.h"

#include <bit>
#include <cmath>

#include "core/base/endian.h"

namespace caisson {
namespace {

// SplitMix64 (Steele et al., 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Bits() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  uint64_t Below(uint64_t limit) { return Bits() % limit; }

  // Nearly normal, of mean 0 and deviation 1: the sum of twelve (Irwin-Hall),
  // with a mantissa that is random to its last bit.
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) {
      sum += static_cast<double>(Bits() >> 11) * 0x1p-53;
    }
    return sum;
  }

 private:
  uint64_t state_;
};

// Bits of the exponent and of the mantissa.
struct Shape {
  int exponent;
  int mantissa;
};

Shape ShapeOf(PlaneType type) {
  switch (type) {
    case PlaneType::kFloat8E4M3:
      return {4, 3};
    case PlaneType::kFloat8E5M2:
      return {5, 2};
    case PlaneType::kBFloat16:
      return {8, 7};
    case PlaneType::kFloat16:
      return {5, 10};
    case PlaneType::kFloat32:
      return {8, 23};
    case PlaneType::kFloat64:
      return {11, 52};
    default:
      return {0, 0};
  }
}

// A double cut to fewer bits: not rounded, and flushed to zero, which is as
// good for a test as a float is.
uint64_t Cut(double value, Shape shape) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const int bias = (1 << (shape.exponent - 1)) - 1;
  const int exponent = static_cast<int>(bits >> 52 & 0x7FF) - 1023 + bias;
  const uint64_t sign = bits >> 63 << (shape.exponent + shape.mantissa);
  if (exponent <= 0) return sign;
  return sign | static_cast<uint64_t>(exponent) << shape.mantissa |
         (bits & 0xFFFFFFFFFFFFF) >> (52 - shape.mantissa);
}

class Generator {
 public:
  Generator(PlaneType type, PlaneData data, uint64_t seed)
      : random_(seed),
        data_(data),
        shape_(ShapeOf(type)),
        bits_(8 * TraitsOf(type).width),
        constant_(random_.Bits()) {}

  uint64_t Next(size_t i) {
    switch (data_) {
      case PlaneData::kZeros:
        return 0;
      case PlaneData::kConstant:
        return constant_;
      case PlaneData::kNormal:
        return Value(random_.Normal());
      case PlaneData::kPositive:
        return Value(std::fabs(random_.Normal()));
      case PlaneData::kRows:
        if (i % 1024 == 0) scale_ = std::exp(random_.Normal());
        return Value(scale_ * random_.Normal());
      case PlaneData::kCoarse:
        return Value(random_.Normal()) >> bits_ / 2 << bits_ / 2;
      case PlaneData::kSmall:
        return Small();
      case PlaneData::kNans:
        return random_.Below(50) == 0 ? Special(~uint64_t{0})
                                      : Value(random_.Normal());
      case PlaneData::kDenormals:
        return random_.Below(2) == 0 ? 0 : Special(0);
      case PlaneData::kNoise:
        return random_.Bits();
      case PlaneData::kLateNoise:
        return i % 1024 > 100 && random_.Below(100) == 0
                   ? random_.Bits()
                   : Value(std::fabs(random_.Normal()));
    }
    return 0;
  }

 private:
  bool is_float() const { return shape_.exponent > 0; }

  uint64_t Value(double normal) {
    if (is_float()) {
      // The one-byte formats have no room below 1 for a scale of 0.02.
      return Cut(bits_ == 8 ? normal : 0.02 * normal, shape_);
    }
    const double scale = bits_ == 8 ? 5 : std::pow(2.0, bits_ / 2);
    return static_cast<uint64_t>(static_cast<int64_t>(normal * scale));
  }

  uint64_t Small() {
    const auto value = static_cast<int64_t>(random_.Below(200)) - 100;
    return is_float() ? Cut(static_cast<double>(value) / 8, shape_)
                      : static_cast<uint64_t>(value);
  }

  // All bits of the exponent as in `exponent`; the others random.
  uint64_t Special(uint64_t exponent) {
    if (!is_float()) return random_.Bits();
    const uint64_t mask = ((uint64_t{1} << shape_.exponent) - 1)
                          << shape_.mantissa;
    return (random_.Bits() & ~mask) | (exponent & mask);
  }

  Random random_;
  const PlaneData data_;
  const Shape shape_;
  const int bits_;
  const uint64_t constant_;
  double scale_ = 1;
};

}  // namespace

std::string_view Name(PlaneData data) {
  constexpr std::string_view kNames[kPlaneDataKinds] = {
      "zeros", "constant", "normal",    "positive", "rows",      "coarse",
      "small", "nans",     "denormals", "noise",    "late_noise"};
  return kNames[static_cast<size_t>(data)];
}

std::string_view Name(PlaneType type) {
  constexpr std::string_view kNames[kPlaneTypes] = {
      "bytes", "e4m3",    "e5m2",  "bfloat16", "float16",
      "int16", "float32", "int32", "float64",  "int64"};
  return kNames[static_cast<size_t>(type)];
}

std::vector<std::byte> MakePlaneData(PlaneType type, PlaneData data,
                                     size_t elems, uint64_t seed) {
  const size_t width = TraitsOf(type).width;
  std::vector<std::byte> bytes(elems * width + 8);
  Generator generator(type, data, seed);
  for (size_t i = 0; i < elems; ++i) {
    StoreLittle(generator.Next(i), &bytes[i * width]);
  }
  bytes.resize(elems * width);
  return bytes;
}

}  // namespace caisson
