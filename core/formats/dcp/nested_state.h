// SPDX-License-Identifier: Apache-2.0
//
// The state that a planner flattened, put together again.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson::dcp {

class NestedState {
 public:
  // Puts `value` under `path`, through dicts that are made where they are
  // missing.
  //
  // REQUIRES: the path has a step, and at most kMaxDepth.
  // Errors: kCorrupt if the way leads through a value, or one is there already.
  Status Put(const Path& path, Node value);

  // The root. Dicts of 0, 1, 2, ... become lists, which they were before they
  // were flattened, unless somebody had ints for keys; no planner can tell.
  //
  // Errors: those of Dict::Set.
  Result<Node> Finish();

 private:
  struct Branch;
  using Child = std::variant<Node, std::unique_ptr<Branch>>;

  // A dict that was made.
  struct Branch {
    std::map<PathStep, size_t> places;  // in children
    std::vector<std::pair<PathStep, Child>> children;
  };

  Result<Node> Made(Branch& branch);
  Node KeyOf(const PathStep& step);

  Branch root_;
  std::map<std::string, Node> keys_;  // equal ones are one str, as in Python
};

}  // namespace caisson::dcp
