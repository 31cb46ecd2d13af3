// SPDX-License-Identifier: Apache-2.0
//
// States to be compressed, and what the tests of that share.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "caisson/writer.h"
#include "tests/engine/state_files.h"

namespace caisson {

// Weights of N(0, 0.02), so that there is something to save.
inline TensorView NormalTensor(DType dtype, std::vector<int64_t> shape,
                               uint64_t seed) {
  TensorView view = RandomTensor(dtype, std::move(shape), seed);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 0.02);
  const std::span<std::byte> bytes = BytesOf(*view.storage);
  const size_t width = ByteWidth(dtype);
  for (size_t at = 0; at + width <= bytes.size(); at += width) {
    const double weight = normal(random);
    const auto single = static_cast<float>(weight);
    uint32_t bits;
    std::memcpy(&bits, &single, sizeof(bits));
    const auto half = static_cast<uint16_t>(bits >> 16);
    if (dtype == DType::kBFloat16) std::memcpy(&bytes[at], &half, 2);
    if (dtype == DType::kFloat32) std::memcpy(&bytes[at], &bits, 4);
    if (dtype == DType::kFloat64) std::memcpy(&bytes[at], &weight, 8);
  }
  return view;
}

// A bit of everything: several chunks, one, none; noise, constants, views that
// share a storage, values that are no tensors.
inline State MixedState(uint64_t seed = 1) {
  State state;
  state["step"] = static_cast<int64_t>(seed);
  state["bf16"] = NormalTensor(DType::kBFloat16, {300, 700}, seed);
  state["fp32"] = NormalTensor(DType::kFloat32, {150001}, seed + 1);
  state["fp64"] = NormalTensor(DType::kFloat64, {70, 1000}, seed + 2);
  state["noise"] = RandomTensor(DType::kUInt8, {600000}, seed + 3);
  TensorView zeros = RandomTensor(DType::kInt64, {80000}, seed + 4);
  std::ranges::fill(BytesOf(*zeros.storage), std::byte{0});
  state["zeros"] = zeros;
  TensorView counts = RandomTensor(DType::kInt32, {66000}, seed + 5);
  for (int32_t i = 0; i < 66000; ++i) {
    std::memcpy(BytesOf(*counts.storage).data() + 4 * i, &i, 4);
  }
  state["counts"] = counts;
  state["small"] = RandomTensor(DType::kFloat16, {7, 3}, seed + 6);
  state["empty"] = RandomTensor(DType::kFloat32, {0}, seed + 7);
  TensorView turned = *state["bf16"].As<TensorView>();
  turned.spec.shape = {700, 300};
  turned.strides = {1, 700};
  state["turned"] = turned;
  state["fp8"] = RandomTensor(DType::kFloat8E4M3Fn, {200000}, seed + 8);
  return state;
}

// `state` in a file at `path`, by a Writer.
inline Status WriteCompressed(const State& state, const std::string& path,
                              CompressMode compress,
                              const Profile& profile = {}) {
  WriteOptions options;
  options.profile = profile;
  options.compress = compress;
  options.sync = false;
  return Writer(options).Write(state, path).status();
}

}  // namespace caisson
