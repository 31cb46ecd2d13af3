// SPDX-License-Identifier: Apache-2.0
//
// What a value of a State holds.
#pragma once

#include <cstdint>
#include <vector>

#include "caisson/state.h"

namespace caisson::cli {

// As what a node is held: a dict key or the callable of a call, which name
// things, or anything else.
enum class HeldAs : uint8_t { kName, kValue };

// Calls visit(child, HeldAs) for each node that `node` itself holds, in the
// order in which State::Tensors() meets them.
template <class Visit>
void ForEachHeld(const Node& node, Visit visit) {
  const auto all = [&](const std::vector<Node>& items) {
    for (const Node& item : items) visit(item, HeldAs::kValue);
  };
  const auto pairs = [&](const std::vector<Dict::Entry>& entries) {
    for (const auto& [key, value] : entries) {
      visit(key, HeldAs::kName);
      visit(value, HeldAs::kValue);
    }
  };
  if (const List* list = node.As<List>()) all(list->items);
  if (const Tuple* tuple = node.As<Tuple>()) all(tuple->items);
  if (const Set* set = node.As<Set>()) all(set->items);
  if (const Dict* dict = node.As<Dict>()) {
    pairs(dict->entries());
    if (!dict->attributes.none()) visit(dict->attributes, HeldAs::kValue);
  }
  if (const Object* object = node.As<Object>()) {
    visit(object->callable, HeldAs::kName);
    visit(object->args, HeldAs::kValue);
    all(object->items);
    pairs(object->entries);
    if (object->has_state) visit(object->state, HeldAs::kValue);
  }
}

}  // namespace caisson::cli
