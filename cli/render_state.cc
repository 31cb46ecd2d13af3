// SPDX-License-Identifier: Apache-2.0
#include "cli/render_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

#include "cli/held_nodes.h"
#include "cli/units.h"
#include "cli/value_text.h"

namespace caisson::cli {
namespace {

// What lies in and below a value.
struct Content {
  uint64_t tensors = 0;  // saturates: sharing may unfold without end
  bool others = false;   // something that is no tensor

  void Add(const Content& part) {
    const uint64_t sum = tensors + part.tensors;
    tensors = sum < tensors ? std::numeric_limits<uint64_t>::max() : sum;
    others = others || part.others;
  }
};

// A value and what stands before it.
struct Child {
  std::string label;
  const Node* node;
};

bool IsContainer(const Node& node) {
  return ItemsOf(node) || node.As<Dict>() || node.As<Object>();
}

// Numbers and texts alone, which are best shown in one line.
bool IsFlat(const std::vector<Node>& items) {
  return std::none_of(items.begin(), items.end(), [](const Node& item) {
    return IsContainer(item) || IsTensor(item);
  });
}

// Counts what lies below each container, once for each object.
class ContentCounter {
 public:
  Content Count(const Node& node) {
    if (IsTensor(node)) return {1, false};
    if (!IsContainer(node)) return {0, true};
    const auto known = known_.find(node.identity());
    if (known != known_.end()) return known->second;
    Content content;
    content.others = node.As<Object>() != nullptr;
    known_[node.identity()] = content;  // ends a cycle, if there were one
    bool empty = true;
    ForEachHeld(node, [&](const Node& held, HeldAs as) {
      if (as == HeldAs::kName) return;
      content.Add(Count(held));
      empty = false;
    });
    content.others = content.others || empty;
    known_[node.identity()] = content;
    return content;
  }

 private:
  std::unordered_map<const void*, Content> known_;
};

class Tree {
 public:
  explicit Tree(const TreeLimits& limits) : limits_(limits) {}

  void Show(size_t depth, const std::string& label, const Node& node) {
    if (Full()) return;
    const size_t taken = 2 * depth + label.size() + 2;
    const size_t width =
        std::max<size_t>(limits_.width > taken ? limits_.width - taken : 0, 24);
    if (const auto text = ShortText(node, width)) {
      return AddLine(depth, label,
                     *text + (IsOpaque(node) ? "  [opaque]" : ""));
    }
    const std::vector<Node>* items = ItemsOf(node);
    if (!IsContainer(node) || (items != nullptr && IsFlat(*items))) {
      return AddLine(depth, label, FrontText(node, width));
    }
    const Content content = counter_.Count(node);
    std::string head = HeadText(node);
    if (content.tensors > 0) head += ", " + Plural(content.tensors, "tensor");
    AddLine(depth, label, head);
    if (content.others) ShowChildren(depth + 1, ChildrenOf(node));
  }

  std::string Take() {
    if (Full()) text_ += "...\n";
    return std::move(text_);
  }

 private:
  bool Full() const { return lines_ >= limits_.lines; }

  void AddLine(size_t depth, const std::string& label,
               const std::string& value) {
    text_ += fmt::format("{:{}}{}: {}\n", "", 2 * depth, label, value);
    ++lines_;
  }

  void ShowChildren(size_t depth, const std::vector<Child>& children) {
    size_t shown = 0;
    size_t more = 0;
    for (const Child& child : children) {
      if (IsTensor(*child.node)) continue;
      if (shown == limits_.children) {
        ++more;
      } else {
        ++shown;
        Show(depth, child.label, *child.node);
      }
    }
    if (more == 0 || Full()) return;
    text_ += fmt::format("{:{}}... {} more\n", "", 2 * depth, more);
    ++lines_;
  }

  static void AddItems(const std::vector<Node>& items,
                       std::vector<Child>* out) {
    for (size_t i = 0; i < items.size(); ++i) {
      out->push_back({std::to_string(i), &items[i]});
    }
  }

  static void AddEntries(const std::vector<Dict::Entry>& entries,
                         std::string_view before, std::vector<Child>* out) {
    for (const auto& [key, value] : entries) {
      out->push_back({std::string(before) + KeyText(key), &value});
    }
  }

  // Attributes are written as Python reaches them: ".name".
  static void AddAttributes(const Node& state, std::vector<Child>* out) {
    const Dict* dict = state.As<Dict>();
    if (dict != nullptr && dict->attributes.none()) {
      AddEntries(dict->entries(), ".", out);
    } else if (!state.none()) {
      out->push_back({"state", &state});
    }
  }

  static std::vector<Child> ChildrenOf(const Node& node) {
    std::vector<Child> children;
    if (const auto* items = ItemsOf(node)) AddItems(*items, &children);
    if (const Dict* dict = node.As<Dict>()) {
      AddEntries(dict->entries(), "", &children);
      AddAttributes(dict->attributes, &children);
    }
    if (const Object* object = node.As<Object>()) {
      AddObject(*object, IsOpaque(node), &children);
    }
    return children;
  }

  static void AddObject(const Object& object, bool opaque,
                        std::vector<Child>* out) {
    const Tuple* args = object.args.As<Tuple>();
    if (args != nullptr && opaque) AddItems(args->items, out);
    // The last argument of torch's own rebuilds is the tensor's __dict__.
    const Global& global = object.global();
    if (args != nullptr && args->items.size() == 4 &&
        (global.name == "_rebuild_from_type_v2" ||
         global.name == "_rebuild_parameter_with_state")) {
      AddAttributes(args->items[3], out);
    }
    if (global.name == "Counter" && args != nullptr &&
        args->items.size() == 1) {
      if (const Dict* dict = args->items[0].As<Dict>()) {
        AddEntries(dict->entries(), "", out);
      }
    }
    AddItems(object.items, out);
    AddEntries(object.entries, "", out);
    if (object.has_state) AddAttributes(object.state, out);
  }

  const TreeLimits limits_;
  ContentCounter counter_;
  std::string text_;
  size_t lines_ = 0;
};

}  // namespace

std::string RenderState(const State& state, const TreeLimits& limits) {
  if (IsTensor(state.root)) return "";
  Tree tree(limits);
  tree.Show(0, "state", state.root);
  return tree.Take();
}

}  // namespace caisson::cli
