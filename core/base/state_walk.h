// SPDX-License-Identifier: Apache-2.0
//
// The handles that a node holds, for everything that walks a State.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <variant>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// Calls visit(child) for each Node that `value` holds, in order: items; key,
// value, key, value; attributes.
template <class Visit>
void ForEachChild(const NodeValue& value, Visit&& visit) {
  std::visit(
      [&](const auto& node) {
        using T = std::remove_cvref_t<decltype(node)>;
        if constexpr (std::is_same_v<T, List> || std::is_same_v<T, Tuple> ||
                      std::is_same_v<T, Set>) {
          for (const Node& item : node.items) visit(item);
        } else if constexpr (std::is_same_v<T, Dict>) {
          for (const auto& entry : node.entries()) {
            visit(entry.first);
            visit(entry.second);
          }
          visit(node.attributes);
        } else if constexpr (std::is_same_v<T, Object>) {
          visit(node.callable);
          visit(node.args);
          for (const Node& item : node.items) visit(item);
          for (const auto& entry : node.entries) {
            visit(entry.first);
            visit(entry.second);
          }
          if (node.has_state) visit(node.state);
        }
      },
      value);
}

// Whether `node` is of a kind that can hold others.
inline bool HoldsNodes(const Node& node) {
  return node.As<Dict>() || node.As<List>() || node.As<Tuple>() ||
         node.As<Set>() || node.As<Object>();
}

// What a tree costs to unfold.
struct TreeSize {
  uint64_t nodes = 0;       // distinct
  uint64_t handles = 0;     // held by them; a shared node counts once for each
  uint64_t text_bytes = 0;  // of str and bytes among the nodes
};

// Measures the tree under `root`. Bounded memory and stack for any graph.
//
// kInvalidArgument if it contains itself or is deeper than kMaxDepth.
Result<TreeSize> MeasureTree(const Node& root);

// The same errors for all that is under any of `roots`, for less.
Status CheckTrees(std::span<const Node> roots);
Status CheckTree(const Node& root);

}  // namespace caisson
