// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "caisson/version.h"
#include "core/base/status_macros.h"
#include "core/io/io_path.h"

namespace caisson {

Result<IoDescription> DescribeIo(const std::string& directory) {
  CAISSON_ASSIGN_OR_RETURN(IoPath path, ProbeIoPath(directory));
  IoDescription description;
  description.file_system = std::move(path.file_system);
  description.free_bytes = path.free_bytes;
  description.direct = path.direct;
  description.direct_reason = std::move(path.direct_reason);
  description.queue = path.queue == IoKind::kUring ? "io_uring" : "threads";
  description.queue_reason = std::move(path.queue_reason);
  return description;
}

}  // namespace caisson
