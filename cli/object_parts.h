// SPDX-License-Identifier: Apache-2.0
//
// The arguments of a call, under the names that State::Tensors() gives to the
// tensors in them.
#pragma once

#include <optional>
#include <vector>

#include "caisson/state.h"

namespace caisson::cli {

struct ObjectPart {
  // From the object's path to that of the part; none where they are the same.
  std::optional<PathStep> step;
  const Node* node;
};

// The arguments of `object`, those of a sparse tensor with the parts of the
// tuple that is its second.
std::vector<ObjectPart> PartsOf(const Object& object);

}  // namespace caisson::cli
