// SPDX-License-Identifier: Apache-2.0
//
// The queues, for tests that run over each.
#pragma once

#include <memory>
#include <ostream>

#include "core/io/io_queue.h"

namespace caisson {

struct QueueMaker {
  const char* name;  // as IoQueue::name() has it
  Result<std::unique_ptr<IoQueue>> (*make)(size_t depth);
};

inline constexpr QueueMaker kQueueMakers[] = {{"threads", MakeThreadQueue},
                                              {"io_uring", MakeUringQueue}};

inline void PrintTo(const QueueMaker& maker, std::ostream* os) {
  *os << maker.name;
}

}  // namespace caisson
