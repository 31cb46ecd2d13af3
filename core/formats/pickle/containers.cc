// SPDX-License-Identifier: Apache-2.0
#include "core/formats/pickle/containers.h"

#include <algorithm>

#include "core/base/state_walk.h"
#include "core/base/status_macros.h"

namespace caisson::pickle {
namespace {

// A tuple, which never changes, of what holds nothing: part of no cycle, and
// freed without recursion.
bool IsFlat(const Node& node) {
  const Tuple* tuple = node.As<Tuple>();
  return tuple != nullptr && std::ranges::none_of(tuple->items, HoldsNodes);
}

// Lets go of everything that `node` holds.
void Empty(Node& node) {
  if (Dict* dict = node.As<Dict>()) {
    dict->Clear();
    dict->attributes = Node();
  } else if (Object* object = node.As<Object>()) {
    *object = Object();
  } else if (List* list = node.As<List>()) {
    list->items.clear();
  } else if (Tuple* tuple = node.As<Tuple>()) {
    tuple->items.clear();
  } else if (Set* set = node.As<Set>()) {
    set->items.clear();
  }
}

}  // namespace

Containers::~Containers() {
  for (Node& node : nodes_) Empty(node);
}

void Containers::Add(const Node& node) {
  if (HoldsNodes(node) && !IsFlat(node)) nodes_.push_back(node);
}

// What the last one holds is held here too, so that no destructor nests.
void Containers::DropUnused() {
  while (!nodes_.empty() && nodes_.back().unique()) nodes_.pop_back();
}

Status Containers::Release() {
  CAISSON_RETURN_IF_ERROR(CheckTrees(nodes_));
  nodes_.clear();
  return Status::Ok();
}

}  // namespace caisson::pickle
