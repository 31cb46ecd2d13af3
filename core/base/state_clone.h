// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "caisson/state.h"

namespace caisson {

// A copy of the tree under `root` that shares within itself exactly what the
// original shares, and nothing that can change with the original. Each storage
// is replaced by what `storage` makes of it, asked once for each; `view`, if
// there is one, may change each copied view, which has its new storage then.
//
// REQUIRES: CheckTree(root) succeeds.
Node CloneTree(
    const Node& root,
    const std::function<StorageHandle(const StorageHandle&)>& storage,
    const std::function<void(TensorView&)>& view = nullptr);

}  // namespace caisson
