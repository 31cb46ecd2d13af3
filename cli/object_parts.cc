// SPDX-License-Identifier: Apache-2.0
#include "cli/object_parts.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace caisson::cli {
namespace {

// The names of a call's arguments. An empty one stands for the object itself.
struct CallNames {
  std::string_view module;
  std::string_view name;
  std::array<std::string_view, 4> args;
};

// formats.md 2.6.
constexpr CallNames kCalls[] = {
    {"torch._utils",
     "_rebuild_parameter",
     {"", "requires_grad", "backward_hooks"}},
    {"torch._utils",
     "_rebuild_parameter_with_state",
     {"", "requires_grad", "backward_hooks", "state"}},
    {"torch._tensor",
     "_rebuild_from_type_v2",
     {"function", "type", "", "state"}},
    {"torch._utils",
     "_rebuild_qtensor",
     {"", "quantizer", "requires_grad", "backward_hooks"}},
    {"torch._utils",
     "_rebuild_nested_tensor",
     {"buffer", "sizes", "strides", "storage_offsets"}},
    {"torch._utils",
     "_rebuild_device_tensor_from_cpu_tensor",
     {"", "dtype", "device", "requires_grad"}},
};

constexpr std::string_view kCooParts[] = {"indices", "values", "size",
                                          "is_coalesced"};
constexpr std::string_view kCompressedParts[] = {
    "compressed_indices", "plain_indices", "values", "size"};

// `names` for the first, positions for the others.
void AddNamed(const std::vector<Node>& items,
              std::span<const std::string_view> names,
              std::vector<ObjectPart>* out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i >= names.size()) {
      out->push_back({static_cast<int64_t>(i), &items[i]});
    } else if (names[i].empty()) {
      out->push_back({std::nullopt, &items[i]});
    } else {
      out->push_back({std::string(names[i]), &items[i]});
    }
  }
}

}  // namespace

std::vector<ObjectPart> PartsOf(const Object& object) {
  std::vector<ObjectPart> parts;
  const Tuple* args = object.args.As<Tuple>();
  if (args == nullptr) return {{std::nullopt, &object.args}};
  const Global& global = object.global();
  if (global == Global{"torch._utils", "_rebuild_sparse_tensor"} &&
      args->items.size() == 2) {
    if (const Tuple* data = args->items[1].As<Tuple>()) {
      const bool compressed =
          data->items.size() > 2 && data->items[2].As<TensorView>() != nullptr;
      parts.push_back({std::string("layout"), &args->items[0]});
      AddNamed(data->items,
               compressed ? std::span(kCompressedParts) : std::span(kCooParts),
               &parts);
      return parts;
    }
  }
  for (const CallNames& call : kCalls) {
    if (call.name != global.name || call.module != global.module) continue;
    AddNamed(args->items, call.args, &parts);
    return parts;
  }
  AddNamed(args->items, {}, &parts);
  return parts;
}

}  // namespace caisson::cli
