// SPDX-License-Identifier: Apache-2.0
//
// Many jobs in few calls of a kernel: runs of items that want the same step go
// together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <tuple>

#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson {

inline bool SameStep(const Step& a, const Step& b) {
  return std::tie(a.op, a.from, a.to, a.crc_of, a.stores) ==
         std::tie(b.op, b.from, b.to, b.crc_of, b.stores);
}

// Transforms every item: by item.step, with the job that job_of(item) gives.
template <class Item, class JobOf>
Status TransformAll(const KernelTable& kernels, std::span<Item> items,
                    const JobOf& job_of) {
  constexpr size_t kBatch = 256;  // bounds the scratch
  Job jobs[kBatch];
  while (!items.empty()) {
    size_t count = 0;
    while (count < std::min(items.size(), kBatch) &&
           SameStep(items[count].step, items[0].step)) {
      jobs[count] = job_of(items[count]);
      ++count;
    }
    const Status status = kernels.transform(
        items[0].step, std::span<const Job>(jobs, count), {}, {});
    if (!status.ok()) return status;
    items = items.subspan(count);
  }
  return Status::Ok();
}

}  // namespace caisson
