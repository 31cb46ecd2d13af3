// SPDX-License-Identifier: Apache-2.0
//
// The I/O queues of this machine, by name.
#pragma once

#include <memory>
#include <string_view>

#include "core/io/io_queue.h"

namespace caisson {

inline constexpr const char* kQueues[] = {"threads", "io_uring"};

// kUnavailable where the kernel forbids it.
inline Result<std::unique_ptr<IoQueue>> MakeQueue(std::string_view name,
                                                  size_t depth = 4) {
  return name == "threads" ? MakeThreadQueue(depth) : MakeUringQueue(depth);
}

}  // namespace caisson
