// SPDX-License-Identifier: Apache-2.0
//
// A State as the list of named tensors that a flat format holds, and what of
// it such a format cannot carry.
//
// Carried: names, dtypes, shapes, values. What only says how the tensors are
// arranged in Python is left behind without a word: which container holds
// them, attributes of an OrderedDict (`_metadata`), requires_grad, the device.
// Thread safety: free functions; any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

struct FlatTensor {
  std::string name;  // the path joined by '.'
  TensorView view;   // any strides
};

struct FlatState {
  std::vector<FlatTensor> tensors;  // in order of appearance; names differ

  // What is not in there, or not as it was: "'step': an int", "'b': shares
  // memory with 'a'".
  std::vector<std::string> losses;
};

// Flattens `state` for a format that holds the dtypes of which `holds` is true.
//
// Errors: kInvalidArgument for a tree that contains itself or is too deep, for
// a tensor that is no valid view, and, naming both paths, for a name that two
// paths have.
Result<FlatState> Flatten(const State& state,
                          const std::function<bool(DType)>& holds);

}  // namespace caisson
