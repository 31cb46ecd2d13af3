// SPDX-License-Identifier: Apache-2.0
//
// The build without liburing.
#include "core/io/io_queue.h"

namespace caisson {

Result<std::unique_ptr<IoQueue>> MakeUringQueue(size_t) {
  return Status::Unavailable("io_uring: built without liburing");
}

}  // namespace caisson
