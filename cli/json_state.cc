// SPDX-License-Identifier: Apache-2.0
#include "cli/json_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "cli/held_nodes.h"
#include "cli/terminal.h"

namespace caisson::cli {
namespace {

std::string Hex(std::string_view data) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * data.size());
  for (const char c : data) {
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return hex;
}

// Parsers recurse: Python's takes 1000 levels. One of ours may be three of
// JSON: the object that stands for a call, its list of entries, an entry.
constexpr size_t kMostLevels = 100;

bool IsUtf8(const std::string& text) { return Utf8(text) == text; }

// About how many bytes of JSON a node is, without what it holds.
uint64_t CostOf(const Node& node) {
  uint64_t payload = 0;
  if (const Text* text = node.As<Text>()) payload = text->str().size();
  if (const Bytes* bytes = node.As<Bytes>()) payload = bytes->data.size();
  if (const ByteArray* bytes = node.As<ByteArray>()) {
    payload = bytes->data.size();
  }
  if (const Global* global = node.As<Global>()) {
    payload = global->module.size() + global->name.size();
  }
  const Integer* integer = node.As<Integer>();
  if (integer != nullptr && !integer->ToInt64()) {
    payload = 3 * integer->ToTwosComplement().size();  // decimal digits
  }
  return 16 + payload;
}

// The cost of a tree whose nodes are each written once per handle.
uint64_t MeasureCost(const Node& root) {
  uint64_t cost = 0;
  std::unordered_set<const void*> seen;
  std::vector<const Node*> stack = {&root};
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    cost += 16;
    if (node->none() || !seen.insert(node->identity()).second) continue;
    cost += CostOf(*node);
    ForEachHeld(*node,
                [&](const Node& held, HeldAs) { stack.push_back(&held); });
  }
  return cost;
}

class Writer {
 public:
  explicit Writer(const State& state)
      // Ordinary sharing repeats small values; a crafted file doubles its
      // tree with every few bytes.
      : budget_((uint64_t{1} << 20) + 16 * MeasureCost(state.root)) {
    if (const auto tensors = state.Tensors()) {
      for (const NamedTensor& tensor : *tensors) {
        names_[tensor.view].push_back(Join(tensor.path));
      }
    }
  }

  Json Write(const Node& node) {
    Spend(CostOf(node));
    if (budget_ == 0) {
      return Tagged("$elided",
                    "sharing unfolds to far more than the file holds");
    }
    if (node.none()) return nullptr;
    if (depth_ == kMostLevels) {
      SkipNames(node);
      return Tagged("$elided", fmt::format("deeper than {} levels", depth_));
    }
    ++depth_;
    Json json =
        std::visit([&](const auto& value) { return ToJson(value); },
                   static_cast<const NodeValue::variant&>(node.value()));
    --depth_;
    return json;
  }

 private:
  void Spend(uint64_t cost) { budget_ -= std::min(cost, budget_); }

  // Drops the names of the tensors in and below a node that is not written.
  // State::Tensors(), which gave the names, has bounded what this unfolds to.
  void SkipNames(const Node& node) {
    if (names_.empty()) return;
    if (const TensorView* view = node.As<TensorView>()) TakeName(*view);
    ForEachHeld(node, [&](const Node& held, HeldAs as) {
      if (as == HeldAs::kValue) SkipNames(held);
    });
  }

  // The name of this occurrence of a tensor, or null.
  Json TakeName(const TensorView& view) {
    const auto found = names_.find(&view);
    if (found == names_.end() || found->second.empty()) return nullptr;
    Json name = Utf8(found->second.front());
    found->second.pop_front();
    return name;
  }

  static Json Tagged(const char* tag, Json value) {
    Json json = Json::object();
    json[tag] = std::move(value);
    return json;
  }

  static Json ToJson(bool value) { return value; }
  static Json ToJson(const Integer& value) {
    if (const auto small = value.ToInt64()) return *small;
    return Tagged("$int", value.ToString());
  }
  static Json ToJson(double value) {
    if (std::isfinite(value)) return value;
    if (std::isnan(value)) return Tagged("$float", "nan");
    return Tagged("$float", value < 0 ? "-inf" : "inf");
  }
  static Json ToJson(const std::complex<double>& value) {
    Json parts = Json::array();
    parts.push_back(ToJson(value.real()));
    parts.push_back(ToJson(value.imag()));
    return Tagged("$complex", std::move(parts));
  }
  static Json ToJson(const Text& value) {
    if (IsUtf8(value.str())) return value.str();
    return Tagged("$str", Hex(value.str()));
  }
  static Json ToJson(const Bytes& value) {
    return Tagged("$bytes", Hex(value.data));
  }
  static Json ToJson(const ByteArray& value) {
    return Tagged("$bytearray", Hex(value.data));
  }
  Json ToJson(const List& value) { return Items(value.items); }
  Json ToJson(const Tuple& value) {
    return Tagged("$tuple", Items(value.items));
  }
  Json ToJson(const Set& value) {
    return Tagged(value.frozen ? "$frozenset" : "$set", Items(value.items));
  }
  Json ToJson(const Dict& value) {
    bool plain = value.attributes.none();
    for (const auto& [key, unused] : value.entries()) {
      const std::string* text = key.AsStr();
      plain =
          plain && text != nullptr && !text->starts_with('$') && IsUtf8(*text);
    }
    if (!plain) {
      Json json = Tagged("$dict", Entries(value.entries()));
      if (!value.attributes.none())
        json["attributes"] = Write(value.attributes);
      return json;
    }
    // Keys differ, so none is searched for.
    Json::object_t object;
    for (const auto& [key, item] : value.entries()) {
      Spend(CostOf(key));
      object.emplace_back(*key.AsStr(), Write(item));
      if (budget_ == 0) break;
    }
    return object;
  }
  Json ToJson(const TensorView& value) {
    return Tagged("$tensor", TakeName(value));
  }
  static Json ToJson(const StorageHandle& value) {
    return Tagged("$storage", value->region.bytes);
  }
  static Json ToJson(const Global& value) {
    return Tagged("$global", Utf8(value.dotted()));
  }
  Json ToJson(const Object& value) {
    Json json = Tagged("$object", Utf8(value.global().dotted()));
    const Tuple* args = value.args.As<Tuple>();
    json["args"] = args != nullptr ? Items(args->items) : Write(value.args);
    if (value.made == Object::Made::kByClass) json["by_class"] = true;
    if (!value.items.empty()) json["items"] = Items(value.items);
    if (!value.entries.empty()) json["entries"] = Entries(value.entries);
    if (value.has_state) json["state"] = Write(value.state);
    return json;
  }

  Json Items(const std::vector<Node>& items) {
    Json json = Json::array();
    for (const Node& item : items) {
      json.push_back(Write(item));
      if (budget_ == 0) break;
    }
    return json;
  }

  Json Entries(const std::vector<Dict::Entry>& entries) {
    Json json = Json::array();
    for (const auto& [key, value] : entries) {
      Json pair = Json::array();
      pair.push_back(Write(key));
      pair.push_back(Write(value));
      json.push_back(std::move(pair));
      if (budget_ == 0) break;
    }
    return json;
  }

  uint64_t budget_;
  size_t depth_ = 0;  // of the node that is being written
  // The names of each tensor's occurrences, in the order of this walk.
  std::unordered_map<const TensorView*, std::deque<std::string>> names_;
};

}  // namespace

Json StateJson(const State& state) { return Writer(state).Write(state.root); }

Json PathJson(const Path& path) {
  Json json = Json::array();
  for (const PathStep& step : path) {
    if (const auto* text = std::get_if<std::string>(&step)) {
      json.push_back(Utf8(*text));
    } else {
      json.push_back(std::get<int64_t>(step));
    }
  }
  return json;
}

std::string Document(const Json& json) { return json.dump() + "\n"; }

}  // namespace caisson::cli
