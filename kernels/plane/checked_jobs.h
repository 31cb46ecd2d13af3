// SPDX-License-Identifier: Apache-2.0
//
// What every table asks of the jobs of plane_encode and plane_decode.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson::plane {

inline Status SmallWorkspace(size_t has, size_t needs) {
  return Status::InvalidArgument("the workspace has " + std::to_string(has) +
                                 " bytes, needs " + std::to_string(needs));
}

inline Status CheckJobs(std::span<const PlaneEncodeJob> jobs) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    const uint32_t most = PlaneChunkElems(jobs[i].type);
    if (jobs[i].elems == 0 || jobs[i].elems > most) {
      return Status::InvalidArgument("job " + std::to_string(i) +
                                     ": a chunk has 1 to " +
                                     std::to_string(most) + " elements, not " +
                                     std::to_string(jobs[i].elems));
    }
  }
  return Status::Ok();
}

}  // namespace caisson::plane
