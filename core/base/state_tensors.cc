// SPDX-License-Identifier: Apache-2.0
//
// The names of a State's tensors.
#include <algorithm>
#include <array>
#include <charconv>
#include <complex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/state.h"
#include "core/base/state_walk.h"
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

PathStep StepOf(const Node& key);

std::string Listed(const std::vector<Node>& items) {
  std::string text = "(";
  for (const Node& item : items) {
    if (text.size() > kMaxListedText) return text.append(", ...)");
    if (text.size() > 1) text.append(", ");
    text.append(Join({StepOf(item)}));
  }
  return text.append(")");
}

// A dict key as a step of a path.
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

class Collector {
 public:
  explicit Collector(uint64_t budget) : budget_(budget) {}

  Status Visit(const Node& node) {
    if (node.none()) return Status::Ok();
    CAISSON_RETURN_IF_ERROR(Spend(1));
    if (const TensorView* view = node.As<TensorView>()) {
      CAISSON_RETURN_IF_ERROR(Spend(CostOf(*view)));
      found_.push_back({path_, view});
    } else if (const Dict* dict = node.As<Dict>()) {
      CAISSON_RETURN_IF_ERROR(VisitEntries(dict->entries()));
      return VisitAt("_attributes", dict->attributes);
    } else if (const List* list = node.As<List>()) {
      return VisitItems(list->items);
    } else if (const Tuple* tuple = node.As<Tuple>()) {
      return VisitItems(tuple->items);
    } else if (const Set* set = node.As<Set>()) {
      return VisitItems(set->items);
    } else if (const Object* object = node.As<Object>()) {
      return VisitObject(*object);
    }
    return Status::Ok();
  }

  std::vector<NamedTensor> Take() { return std::move(found_); }

 private:
  // What it takes to keep a step beyond the one unit that each has.
  static uint64_t TextCost(const PathStep& step) {
    const auto* text = std::get_if<std::string>(&step);
    return text != nullptr ? text->size() / sizeof(PathStep) : 0;
  }

  // What it takes to keep the path and a copy of the view's geometry, in
  // units of a step.
  uint64_t CostOf(const TensorView& view) const {
    uint64_t units = path_.size() + view.spec.shape.size() / 2;
    for (const PathStep& step : path_) units += TextCost(step);
    return units;
  }

  Status Spend(uint64_t units) {
    spent_ += units;
    if (spent_ <= budget_) return Status::Ok();
    return Status::InvalidArgument("shared containers unfold to more than " +
                                   std::to_string(budget_) +
                                   " nodes and path steps");
  }

  Status VisitAt(PathStep step, const Node& node) {
    CAISSON_RETURN_IF_ERROR(Spend(TextCost(step)));
    if (node.none()) return Status::Ok();
    path_.push_back(std::move(step));
    CAISSON_RETURN_IF_ERROR(Visit(node));
    path_.pop_back();
    return Status::Ok();
  }

  Status VisitItems(std::span<const Node> items) {
    for (size_t i = 0; i < items.size(); ++i) {
      CAISSON_RETURN_IF_ERROR(VisitAt(static_cast<int64_t>(i), items[i]));
    }
    return Status::Ok();
  }

  Status VisitEntries(std::span<const Dict::Entry> entries) {
    for (const auto& [key, value] : entries) {
      CAISSON_RETURN_IF_ERROR(VisitAt(StepOf(key), value));
    }
    return Status::Ok();
  }

  Status VisitSparse(const Tuple& data) {
    const bool compressed =
        data.items.size() > 2 && data.items[2].As<TensorView>() != nullptr;
    const auto names = compressed
                           ? std::span(kCompressedParts)
                           : std::span<const std::string_view>(kCooParts);
    for (size_t i = 0; i < std::min(names.size(), data.items.size()); ++i) {
      CAISSON_RETURN_IF_ERROR(VisitAt(std::string(names[i]), data.items[i]));
    }
    return Status::Ok();
  }

  Status VisitObject(const Object& object) {
    const ObjectParts* parts = PartsOf(object);
    const Tuple* args = object.args.As<Tuple>();
    if (const Tuple* sparse = SparseParts(object)) {
      CAISSON_RETURN_IF_ERROR(VisitSparse(*sparse));
    } else if (parts != nullptr && args != nullptr) {
      for (size_t i = 0; i < args->items.size(); ++i) {
        const std::string_view name =
            i < parts->args.size() ? parts->args[i] : std::string_view();
        CAISSON_RETURN_IF_ERROR(
            name.empty() ? Visit(args->items[i])
                         : VisitAt(std::string(name), args->items[i]));
      }
    } else {
      CAISSON_RETURN_IF_ERROR(Visit(object.args));
    }
    CAISSON_RETURN_IF_ERROR(VisitItems(object.items));
    CAISSON_RETURN_IF_ERROR(VisitEntries(object.entries));
    return object.has_state ? Visit(object.state) : Status::Ok();
  }

  const uint64_t budget_;
  uint64_t spent_ = 0;
  Path path_;
  std::vector<NamedTensor> found_;
};

}  // namespace

std::string Join(const Path& path) {
  std::string joined;
  for (const PathStep& step : path) {
    if (&step != &path.front()) joined.push_back('.');
    if (const auto* text = std::get_if<std::string>(&step)) {
      joined.append(*text);
    } else {
      joined.append(std::to_string(std::get<int64_t>(step)));
    }
  }
  return joined;
}

Result<std::vector<NamedTensor>> State::Tensors() const {
  CAISSON_ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(root));
  // Ordinary sharing repeats a leaf or a small tuple; a crafted file doubles
  // its tree with every few bytes.
  Collector collector(4096 + 16 * (size.nodes + size.handles +
                                   size.text_bytes / sizeof(PathStep)));
  CAISSON_RETURN_IF_ERROR(collector.Visit(root));
  return collector.Take();
}

}  // namespace caisson
