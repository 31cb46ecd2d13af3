// SPDX-License-Identifier: Apache-2.0
#include "bench/plane_sets.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "kernels/float_bits.h"

namespace caisson::bench {
namespace {

constexpr size_t kMade = size_t{8} << 20;

using Random = std::mt19937_64;
using Values = std::function<double(Random&, size_t)>;

double Normal(Random& random) {
  return std::normal_distribution<double>()(random);
}

// Weights of a layer.
double Weight(Random& random, size_t) { return 0.02 * Normal(random); }

// The same in rows of 4096 that have scales of their own.
Values RowScaled() {
  return [scale = 1.0](Random& random, size_t i) mutable {
    if (i % 4096 == 0) scale = 0.02 * std::exp(0.5 * Normal(random));
    return scale * Normal(random);
  };
}

double StudentT4(Random& random, size_t) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += std::pow(Normal(random), 2);
  return 0.02 * Normal(random) / std::sqrt(sum / 4);
}

double Laplace(Random& random, size_t) {
  const double u = std::uniform_real_distribution<double>(-0.5, 0.5)(random);
  return 1e-4 * (u < 0 ? 1 : -1) * std::log(1 - 2 * std::fabs(u));
}

double AdamM(Random& random, size_t) {
  return 1e-4 * std::exp(Normal(random)) * 0.23 * Normal(random);
}

double AdamV(Random& random, size_t) {
  const double sigma = 1e-4 * std::exp(Normal(random));
  return sigma * sigma * (1 + std::sqrt(2 / 2000.0) * Normal(random));
}

double AdamVChi2(Random& random, size_t) {
  return 1e-3 * std::pow(1e-4 * Normal(random), 2);
}

// Token ids as frequent as words of a language are.
double Zipf(Random& random, size_t) {
  const double u = std::uniform_real_distribution<double>(0, 1)(random);
  return std::floor(std::exp(u * std::log(50257.0)));
}

double Mask(Random& random, size_t) {
  return std::bernoulli_distribution(0.1)(random) ? 1 : 0;
}

double Quantised(Random& random, size_t) {
  return std::round(std::clamp(20 * Normal(random), -127.0, 127.0));
}

struct Recipe {
  PlaneSet set;
  Values values;
  bool rounded = false;  // an fp32 that was a bf16
};

std::vector<Recipe> MakeRecipes() {
  using enum PlaneType;
  return {
      {{"bf16", kBFloat16, "bf16 N(0, .02)"}, Weight},
      {{"bf16_rows", kBFloat16, "bf16, rows of own scale"}, RowScaled()},
      {{"bf16_t4", kBFloat16, "bf16 Student t4"}, StudentT4},
      {{"bf16_laplace", kBFloat16, "bf16 Laplace"}, Laplace},
      {{"fp16", kFloat16, "fp16 N(0, .02)"}, Weight},
      {{"fp32", kFloat32, "fp32 N(0, .02)"}, Weight},
      {{"fp32_from_bf16", kFloat32, "fp32 that was bf16"}, Weight, true},
      {{"adam_m", kFloat32, "fp32 Adam m"}, AdamM},
      {{"adam_v", kFloat32, "fp32 Adam v, lognormal"}, AdamV},
      {{"adam_v_chi2", kFloat32, "fp32 Adam v, chi2"}, AdamVChi2},
      {{"fp64", kFloat64, "fp64 N(0, .02)"}, Weight},
      {{"e4m3", kFloat8E4M3, "fp8 e4m3, largest 448"},
       [](Random& random, size_t) { return 448 / 5.0 * Normal(random); }},
      {{"e5m2", kFloat8E5M2, "fp8 e5m2 N(0, 1)"},
       [](Random& random, size_t) { return Normal(random); }},
      {{"tokens", kInt64, "int64 token ids"}, Zipf},
      {{"mask", kBytes, "bool, a tenth true"}, Mask},
      {{"int8", kBytes, "int8 N(0, 20)"}, Quantised},
  };
}

const std::vector<Recipe>& Recipes() {
  static const std::vector<Recipe> recipes = MakeRecipes();
  return recipes;
}

// The bits of `value` in a type, rounded as the kernels round.
uint64_t BitsOf(const Recipe& recipe, double value) {
  const auto as_float = static_cast<float>(value);
  uint32_t bits32;
  std::memcpy(&bits32, &as_float, sizeof(bits32));
  switch (recipe.set.type) {
    case PlaneType::kBFloat16:
      return bits::BFloat16FromFloat32(bits32);
    case PlaneType::kFloat16:
      return bits::Float16FromFloat32(bits32);
    case PlaneType::kFloat8E4M3:
      return bits::Float8E4M3FromFloat32(bits32);
    case PlaneType::kFloat8E5M2:
      return bits::Float8E5M2FromFloat32(bits32);
    case PlaneType::kFloat32:
      return recipe.rounded ? uint64_t{bits::BFloat16FromFloat32(bits32)} << 16
                            : bits32;
    case PlaneType::kFloat64: {
      uint64_t bits64;
      std::memcpy(&bits64, &value, sizeof(bits64));
      return bits64;
    }
    default:
      return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
}

std::vector<std::byte> Make(const Recipe& recipe) {
  const size_t width = TraitsOf(recipe.set.type).width;
  std::vector<std::byte> bytes(kMade + sizeof(uint64_t));
  Random random(1);
  Values values = recipe.values;
  for (size_t i = 0; i < kMade / width; ++i) {
    const uint64_t bits = BitsOf(recipe, values(random, i));
    std::memcpy(&bytes[i * width], &bits, sizeof(bits));
  }
  bytes.resize(kMade);
  return bytes;
}

struct Memory {
  std::byte* data = nullptr;
  size_t bytes = 0;
};

}  // namespace

std::span<const PlaneSet> PlaneSets() {
  static const std::vector<PlaneSet> sets = [] {
    std::vector<PlaneSet> all;
    for (const Recipe& recipe : Recipes()) all.push_back(recipe.set);
    return all;
  }();
  return sets;
}

const PlaneSet& FindPlaneSet(const std::string& name) {
  return *std::ranges::find(PlaneSets(), name, &PlaneSet::name);
}

const std::byte* PlaneSource(const PlaneSet& set, size_t bytes) {
  static std::map<std::string, Memory> memories;
  Memory& memory = memories[set.name];
  if (memory.bytes >= bytes) return memory.data;
  const size_t wanted = (std::max(bytes, kMade) + kMade - 1) / kMade * kMade;
  std::free(memory.data);
  memory.data = static_cast<std::byte*>(std::aligned_alloc(4096, wanted));
  if (memory.data == nullptr) std::abort();
  memory.bytes = wanted;
  const auto recipe = std::ranges::find(
      Recipes(), set.name, [](const Recipe& each) { return each.set.name; });
  const std::vector<std::byte> made = Make(*recipe);
  for (size_t at = 0; at < wanted; at += kMade) {
    std::memcpy(memory.data + at, made.data(), kMade);
  }
  return memory.data;
}

}  // namespace caisson::bench
