// SPDX-License-Identifier: Apache-2.0
//
// What a State holds besides tensors, as an indented tree.
#pragma once

#include <cstddef>
#include <string>

#include "caisson/state.h"

namespace caisson::cli {

struct TreeLimits {
  size_t lines = 300;    // of the tree in all
  size_t children = 16;  // of one container
  size_t width = 100;    // characters; where no name is longer
};

// One line for each value that is no tensor, containers that hold only tensors
// as one line with their number; lines end in a line feed, and are ready for a
// terminal. Bounded by `limits`, and in time by the number of distinct nodes.
// Empty if the root is a tensor.
std::string RenderState(const State& state, const TreeLimits& limits = {});

}  // namespace caisson::cli
