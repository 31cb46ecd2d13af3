// SPDX-License-Identifier: Apache-2.0
//
// Compares two states, node by node.
#pragma once

#include "caisson/state.h"
#include "cli/diff_tensors.h"
#include "cli/diff_values.h"
#include "cli/difference.h"

namespace caisson::cli {

struct TreeDiffOptions {
  bool order = true;  // whether the order of dict keys counts
  bool layout = false;
};

// Tells `sink` how two trees differ, in the order of A; returns how many pairs
// of tensors were compared.
//
// Floats are compared by their bits, and so are the keys of dicts. Sets have no
// order. Objects that no one can build here are compared by name and arguments.
// That two containers are one object is not compared; that two tensors share a
// storage is. Each pair of containers is looked at once, however often sharing
// repeats it.
//
// REQUIRES: neither tree contains itself, as no tree of a Reader does.
uint64_t DiffTrees(const State& a, const State& b,
                   const TreeDiffOptions& options, ValueDiff* values,
                   const DifferenceSink& sink);

}  // namespace caisson::cli
