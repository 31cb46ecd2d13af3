// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace caisson {

// Sees to it that the process may open `more` files, where its soft limit
// (RLIMIT_NOFILE) does not allow it and its hard limit does. What it raised
// stays: files are open for as long as their readers are. Best effort; who
// opens one too many is told so.
//
// Thread safety: any thread; what others open at the same time is not counted.
void AllowOpenFiles(uint64_t more);

}  // namespace caisson
