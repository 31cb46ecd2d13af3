// SPDX-License-Identifier: Apache-2.0
//
// Thread safety: free functions; any thread.
#pragma once

#include "caisson/status.h"
#include "caisson/tensor.h"

namespace caisson {

// Gives `storage` host memory for its region.bytes, which its owner keeps:
// pages of its own where it is large.
//
// Errors: kOutOfMemory.
Status MakeResident(Storage& storage);

}  // namespace caisson
