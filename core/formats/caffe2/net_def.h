// SPDX-License-Identifier: Apache-2.0
//
// Init nets: how Caffe2's model zoo shipped weights, as operators that fill
// blobs with numbers that are their arguments.
//
// Thread safety: free functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "caisson/caffe2_messages.h"
#include "caisson/status.h"

namespace caisson::caffe2 {

struct NetFills {
  std::vector<TensorMessage> tensors;  // named, of GivenTensor*Fill
  std::vector<std::string> others;     // what else there is, for messages
};

// The fills of a NetDef, in binary or in text.
//
// Errors: kCorrupt for what is no NetDef or has no operator, and for a fill
// without a shape or an output.
Result<NetFills> ParseNet(std::string_view bytes, bool text);

}  // namespace caisson::caffe2
