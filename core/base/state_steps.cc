// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_steps.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <complex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"

namespace caisson {
namespace {

// How the tensors inside a call's arguments are named. An empty name stands
// for the object itself.
struct ObjectParts {
  std::string_view module;
  std::string_view name;
  std::array<std::string_view, 4> args;
};

// formats.md 2.6. The first argument of a quantised tensor and the third of
// a typed one are the tensors that our reader makes of their storages.
constexpr ObjectParts kParts[] = {
    {"torch._utils", "_rebuild_parameter", {""}},
    {"torch._utils", "_rebuild_parameter_with_state", {"", "", "", "state"}},
    {"torch._tensor", "_rebuild_from_type_v2", {"", "", "", "state"}},
    {"torch._utils", "_rebuild_qtensor", {"", "quantizer"}},
    {"torch._utils",
     "_rebuild_nested_tensor",
     {"buffer", "sizes", "strides", "storage_offsets"}},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", {""}},
};

const ObjectParts* PartsOf(const Object& object) {
  const Global& global = object.global();
  for (const ObjectParts& parts : kParts) {
    if (parts.name == global.name && parts.module == global.module) {
      return &parts;
    }
  }
  return nullptr;
}

// (indices, values, size[, is_coalesced]), or (compressed_indices,
// plain_indices, values, size): formats.md 2.6.
constexpr std::string_view kCooParts[] = {"indices", "values"};
constexpr std::string_view kCompressedParts[] = {"compressed_indices",
                                                 "plain_indices", "values"};

// The parts of a sparse tensor, or nullptr if `object` is none.
const Tuple* SparseParts(const Object& object) {
  const Tuple* args = object.args.As<Tuple>();
  const bool sparse =
      object.global() == Global{"torch._utils", "_rebuild_sparse_tensor"};
  if (!sparse || args == nullptr || args->items.size() != 2) return nullptr;
  return args->items[1].As<Tuple>();
}

// Past this a tuple's text is cut. It has few items, for Dict::Set() sees to
// that, but each may be the same long str.
constexpr size_t kMaxListedText = 4096;

// The shortest text that reads back as the same number.
std::string Shortest(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return {text, end};
}

std::string Listed(const std::vector<Node>& items) {
  std::string text = "(";
  for (const Node& item : items) {
    if (text.size() > kMaxListedText) return text.append(", ...)");
    if (text.size() > 1) text.append(", ");
    text.append(Join({StepOf(item)}));
  }
  return text.append(")");
}

class Steps {
 public:
  explicit Steps(const VisitChildAt& visit) : visit_(visit) {}

  Status Of(const Node& node) const {
    if (const Dict* dict = node.As<Dict>()) {
      CAISSON_RETURN_IF_ERROR(Entries(dict->entries()));
      return visit_({"_attributes", &dict->attributes, std::nullopt});
    }
    if (const List* list = node.As<List>()) return Items(list->items);
    if (const Tuple* tuple = node.As<Tuple>()) return Items(tuple->items);
    if (const Set* set = node.As<Set>()) return Items(set->items);
    if (const Object* object = node.As<Object>()) return OfObject(*object);
    return Status::Ok();
  }

 private:
  // A child that stands under its parent's own path.
  Status Itself(const Node& node) const {
    return visit_({std::nullopt, &node, std::nullopt});
  }

  Status Items(std::span<const Node> items) const {
    for (size_t i = 0; i < items.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(
          visit_({static_cast<int64_t>(i), &items[i], std::nullopt}));
    }
    return Status::Ok();
  }

  Status Entries(std::span<const Dict::Entry> entries) const {
    for (size_t i = 0; i < entries.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(
          visit_({StepOf(entries[i].first), &entries[i].second, i}));
    }
    return Status::Ok();
  }

  Status Named(std::string_view name, const Node& node) const {
    if (name.empty()) return Itself(node);
    return visit_({std::string(name), &node, std::nullopt});
  }

  Status Sparse(const Tuple& data) const {
    const bool compressed =
        data.items.size() > 2 && data.items[2].As<TensorView>() != nullptr;
    const auto names = compressed
                           ? std::span(kCompressedParts)
                           : std::span<const std::string_view>(kCooParts);
    for (size_t i = 0; i < std::min(names.size(), data.items.size()); ++i) {
      CAISSON_RETURN_IF_ERROR(Named(names[i], data.items[i]));
    }
    return Status::Ok();
  }

  Status Arguments(const Object& object) const {
    if (const Tuple* sparse = SparseParts(object)) return Sparse(*sparse);
    const ObjectParts* parts = PartsOf(object);
    const Tuple* args = object.args.As<Tuple>();
    if (parts == nullptr || args == nullptr) return Itself(object.args);
    for (size_t i = 0; i < args->items.size(); ++i) {
      const std::string_view name =
          i < parts->args.size() ? parts->args[i] : std::string_view();
      CAISSON_RETURN_IF_ERROR(Named(name, args->items[i]));
    }
    return Status::Ok();
  }

  Status OfObject(const Object& object) const {
    CAISSON_RETURN_IF_ERROR(Arguments(object));
    CAISSON_RETURN_IF_ERROR(Items(object.items));
    CAISSON_RETURN_IF_ERROR(Entries(object.entries));
    return object.has_state ? Itself(object.state) : Status::Ok();
  }

  const VisitChildAt& visit_;
};

}  // namespace

PathStep StepOf(const Node& key) {
  if (const std::string* text = key.AsStr()) return *text;
  if (const bool* truth = key.As<bool>()) return *truth ? "True" : "False";
  if (const Integer* integer = key.As<Integer>()) {
    if (const auto small = integer->ToInt64()) return *small;
    return integer->ToString();
  }
  if (const double* number = key.As<double>()) return Shortest(*number);
  if (const auto* number = key.As<std::complex<double>>()) {
    std::string text = "(";
    return text.append(Shortest(number->real()))
        .append(", ")
        .append(Shortest(number->imag()))
        .append(")");
  }
  if (const Global* global = key.As<Global>()) return global->dotted();
  if (const Bytes* bytes = key.As<Bytes>()) return bytes->data;
  if (const Tuple* tuple = key.As<Tuple>()) return Listed(tuple->items);
  if (const Set* set = key.As<Set>()) {
    return std::string("set").append(Listed(set->items));
  }
  if (const Object* object = key.As<Object>()) {
    return object->global().dotted() + Join({StepOf(object->args)});
  }
  return key.none() ? "None" : "?";
}

Status ForEachChildAt(const Node& node, const VisitChildAt& visit) {
  return Steps(visit).Of(node);
}

std::string Spelled(const Path& path) {
  std::string text;
  for (const PathStep& step : path) {
    if (!text.empty()) text += ", ";
    if (const auto* name = std::get_if<std::string>(&step)) {
      text += '"' + *name + '"';
    } else {
      text += std::to_string(std::get<int64_t>(step));
    }
  }
  return "[" + text + "]";
}

}  // namespace caisson
