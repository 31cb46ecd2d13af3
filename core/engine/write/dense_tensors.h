// SPDX-License-Identifier: Apache-2.0
//
// Tensors as formats without strides hold them.
//
// Thread safety: free functions; any thread.
#pragma once

#include <vector>

#include "caisson/status.h"
#include "core/formats/flat_tensors.h"

namespace caisson {

// Replaces each tensor that is not contiguous by a dense copy.
//
// REQUIRES: the views are valid.
// Errors: kInvalidArgument for such a tensor that is not in memory,
// kUnavailable for one that is not in the host's, kUnsupported for one whose
// elements do not fill whole bytes; kOutOfMemory.
Status MakeDense(std::vector<FlatTensor>* tensors);

}  // namespace caisson
