// SPDX-License-Identifier: Apache-2.0
#include "tests/support/built_states.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "tests/engine/huge_file.h"
#include "tests/support/pattern_tensor.h"

namespace caisson {
namespace {

// Every dtype of which torch saves plain tensors, by its name.
Result<State> DTypes() {
  State state;
  for (const DType dtype : AllDTypes()) {
    const std::string_view name = Name(dtype);
    const bool is_packed = ByteWidth(dtype) == 0;
    const bool is_quantised = TorchStorageClass(dtype).starts_with('Q');
    // From uint1 on torch has only names.
    if (is_packed || is_quantised || dtype >= DType::kUInt1) continue;
    state[name] = PatternTensor(dtype, {2, 3}, 1);
  }
  return state;
}

// Every way of looking at one storage; one without elements; a scalar.
Result<State> Views() {
  const TensorView base = PatternTensor(DType::kInt64, {4, 6}, 1);
  State state;
  state["base"] = base;
  state["transposed"] = ViewOf(base, {6, 4}, {1, 6});
  state["strided"] = ViewOf(base, {2, 3}, {12, 2}, 1);
  state["offset"] = ViewOf(base, {4}, {1}, 5);
  state["expanded"] = ViewOf(base, {1000, 1000}, {0, 0}, 3);
  state["element"] = ViewOf(base, {}, {}, 23);
  state["nothing"] = ViewOf(base, {0, 6}, {6, 1}, 24);
  state["empty"] = PatternTensor(DType::kFloat32, {0, 3}, 1);
  state["scalar"] = PatternTensor(DType::kFloat64, {}, 7);
  return state;
}

Result<State> ManyViews() {
  std::vector<TensorView> storages;
  for (size_t i = 0; i < 10; ++i) {
    storages.push_back(PatternTensor(DType::kFloat32, {200}, i));
  }
  State state;
  for (int i = 0; i < 1000; ++i) {
    state["view" + std::to_string(i)] =
        ViewOf(storages[static_cast<size_t>(i % 10)], {1 + i % 7}, {1 + i % 3},
               static_cast<uint64_t>(i / 10));
  }
  return state;
}

Object ParameterOf(const TensorView& data, bool requires_grad) {
  Object object;
  object.callable = Global{"torch._utils", "_rebuild_parameter"};
  object.args = Tuple{{data, requires_grad, Dict(/*is_ordered=*/true)}};
  return object;
}

// The bits of a tensor, and parameters.
Result<State> Bits() {
  State state;
  TensorView conj = PatternTensor(DType::kComplex64, {2}, 1);
  conj.conj = true;
  TensorView neg = PatternTensor(DType::kFloat32, {2}, 2);
  neg.neg = true;
  TensorView grad = PatternTensor(DType::kFloat32, {2}, 3);
  grad.requires_grad = true;
  state["conj"] = conj;
  state["neg"] = neg;
  state["grad"] = grad;
  state["parameter"] =
      ParameterOf(PatternTensor(DType::kFloat32, {2}, 4), true);
  state["frozen"] = ParameterOf(PatternTensor(DType::kInt32, {2}, 5), false);
  return state;
}

// A payload that begins as a data descriptor does: formats.md 1.8.
Result<State> Quirk() {
  State state;
  TensorView quirk = PatternTensor(DType::kUInt8, {16}, 1);
  std::memcpy(quirk.storage->region.data, "PK\x07\x08", 4);
  state["quirk"] = quirk;
  state["after"] = PatternTensor(DType::kUInt8, {3}, 2);
  return state;
}

// Containers around the sizes of a pickler's batches: formats.md 2.2.
Result<State> Batches() {
  State state;
  for (const int n : {0, 1, 2, 999, 1000, 1001, 2000, 2001}) {
    List list;
    Dict dict, ordered(/*is_ordered=*/true);
    for (int i = 0; i < n; ++i) {
      list.items.push_back(i);
      CAISSON_RETURN_IF_ERROR(dict.Set(i, i));
      CAISSON_RETURN_IF_ERROR(ordered.Set(i, i));
    }
    state["list" + std::to_string(n)] = std::move(list);
    state["dict" + std::to_string(n)] = std::move(dict);
    state["ordered" + std::to_string(n)] = std::move(ordered);
  }
  return state;
}

// What a script saves of torch.nn.Linear(2, 3) and its torch.optim.SGD.
Result<State> Training() {
  Dict module(/*is_ordered=*/true);
  module["weight"] = PatternTensor(DType::kFloat32, {3, 2}, 1);
  module["bias"] = PatternTensor(DType::kFloat32, {3}, 2);
  Node metadata = Dict(/*is_ordered=*/true);
  metadata[""]["version"] = 1;
  module.attributes["_metadata"] = metadata;

  // One str for both parameters, as it is one in the optimiser's code.
  const Node name = "momentum_buffer";
  Dict buffers;
  for (int i = 0; i < 2; ++i) {
    Dict buffer;
    CAISSON_RETURN_IF_ERROR(
        buffer.Set(name, i == 0 ? PatternTensor(DType::kFloat32, {3, 2}, 3)
                                : PatternTensor(DType::kFloat32, {3}, 4)));
    CAISSON_RETURN_IF_ERROR(buffers.Set(i, std::move(buffer)));
  }
  Node group = Dict();
  group["lr"] = 0.5;
  group["momentum"] = 0.75;
  group["dampening"] = 0;
  group["weight_decay"] = 0;
  group["nesterov"] = false;
  group["maximize"] = false;
  group["foreach"] = Node();
  group["differentiable"] = false;
  group["fused"] = Node();
  group["params"] = List{{0, 1}};

  State state;
  state["model"] = std::move(module);
  state["optimizer"]["state"] = std::move(buffers);
  state["optimizer"]["param_groups"] = List{{group}};
  return state;
}

constexpr std::pair<std::string_view, Result<State> (*)()> kStates[] = {
    {"dtypes", DTypes},     {"views", Views},    {"many_views", ManyViews},
    {"bits", Bits},         {"quirk", Quirk},    {"batches", Batches},
    {"training", Training}, {"huge", HugeState},
};

}  // namespace

Result<State> BuiltState(std::string_view name) {
  const auto* found = std::ranges::find(
      kStates, name, [](const auto& entry) { return entry.first; });
  if (found == std::end(kStates)) {
    return Status::NotFound("no state '" + std::string(name) + "'");
  }
  return found->second();
}

}  // namespace caisson
