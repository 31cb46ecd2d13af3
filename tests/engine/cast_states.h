// SPDX-License-Identifier: Apache-2.0
//
// States, casts and plain conversions for tests of Reader::Load with casts.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/state_files.h"
#include "tests/support/random_bytes.h"

namespace caisson {

template <class T>
TensorView TensorOf(DType dtype, std::vector<int64_t> shape,
                    const std::vector<T>& values) {
  auto owner = std::make_shared<std::vector<T>>(values);
  return DenseTensor(dtype, std::move(shape), owner->data(), owner);
}

template <class T>
std::vector<T> ValuesOf(const TensorView& view) {
  const ByteVector bytes = PlainGather(view);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Finite floats of all magnitudes that stay finite as bfloat16.
inline std::vector<float> Floats(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  if (count == 0) return values;
  const ByteVector bytes = RandomBytes(count * 4, seed);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  for (float& value : values) {
    if (!(std::abs(value) < 3e38f)) value = 1.5f;
  }
  return values;
}

// Round to nearest even, of finite values.
inline std::vector<uint16_t> BFloat16(const std::vector<float>& values) {
  std::vector<uint16_t> rounded;
  for (const float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t half = 0x7fff + (bits >> 16 & 1);
    rounded.push_back(static_cast<uint16_t>((bits + half) >> 16));
  }
  return rounded;
}

inline const TensorView& TensorAt(const State& state, std::string_view key) {
  const Node* node = state.root.Find(key);
  return *node->As<TensorView>();
}

inline Result<State> LoadCast(const std::string& file,
                              std::vector<Cast> casts) {
  auto reader = OpenBytes(file);
  if (!reader) return reader.error();
  LoadOptions options;
  options.casts = std::move(casts);
  return reader->Load(options);
}

inline Result<State> LoadCast(const State& state, std::vector<Cast> casts) {
  return LoadCast(FileOf(state), std::move(casts));
}

inline const std::vector<Cast> kAllToBFloat16 = {{"*", DType::kBFloat16}};

inline Object CallOf(const char* module, const char* name,
                     std::vector<Node> args) {
  Object object;
  object.callable = Global{module, name};
  object.args = Tuple{std::move(args)};
  return object;
}

}  // namespace caisson
