// SPDX-License-Identifier: Apache-2.0
//
// The path of everything in a State: which child of a node stands where.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// A child of a node.
struct ChildAt {
  std::optional<PathStep> step;  // none: under its parent's own path
  const Node* child = nullptr;
  std::optional<size_t> entry;  // its position, if an entry of a dict or object
};

using VisitChildAt = std::function<Status(const ChildAt&)>;

// Calls visit() for each child of `node` that has a path, None too, in order
// of appearance; keys and callables have none. The first error ends it and is
// returned.
Status ForEachChildAt(const Node& node, const VisitChildAt& visit);

// ["a.b", 0]: unlike the joined name, no other path has the same.
std::string Spelled(const Path& path);

}  // namespace caisson
