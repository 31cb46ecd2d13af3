// SPDX-License-Identifier: Apache-2.0
//
// Any bytes are a pickle or a typed error, and what was read and written again
// is read as the same. A whole archive stands for its pickle, so that golden
// files are seeds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "caisson/state.h"
#include "core/formats/pickle/pickler.h"
#include "core/formats/pickle/unpickler.h"
#include "core/formats/torch/torch_rules.h"
#include "core/formats/torch/torch_semantics.h"
#include "tests/fuzz/expect_typed.h"

namespace {

using caisson::ExpectTyped;
using caisson::Node;
using Bytes = std::vector<std::byte>;

// Where torch aligns the first record's data.
constexpr size_t kFirstRecord = 64;

std::optional<Node> Read(std::span<const std::byte> bytes, bool strict) {
  caisson::torch::TorchSemantics semantics;
  const auto result =
      caisson::pickle::Unpickle(bytes, "fuzz", semantics, {.strict = strict});
  if (!result.has_value()) {
    ExpectTyped(result.error());
    return std::nullopt;
  }
  return result->root;
}

// None if it holds what a file cannot: a name with a line break.
std::optional<Bytes> Write(const Node& root) {
  caisson::torch::TorchRules rules;
  auto result = caisson::pickle::Pickler(rules).Run(root);
  if (result.has_value()) return std::move(*result);
  if (result.error().code() != caisson::StatusCode::kInvalidArgument) {
    std::abort();
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto bytes = std::as_bytes(std::span(data, size));
  if (size > kFirstRecord && data[0] == 'P' && data[1] == 'K') {
    bytes = bytes.subspan(kFirstRecord);
  }
  const bool strict = Read(bytes, /*strict=*/true).has_value();
  caisson::State state;
  if (const auto root = Read(bytes, /*strict=*/false)) {
    state.root = *root;
  } else if (strict) {
    std::abort();  // strict mode takes a subset
  } else {
    return 0;
  }
  if (const auto tensors = state.Tensors(); tensors.has_value()) {
    for (const auto& tensor : *tensors) {
      if (!tensor.view->Validate().ok()) std::abort();
    }
  }
  const auto first = Write(state.root);
  if (!first) return 0;
  const auto again = Read(*first, /*strict=*/false);
  if (!again) std::abort();
  if (Write(*again) != first) std::abort();
  return 0;
}
