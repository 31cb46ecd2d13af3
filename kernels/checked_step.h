// SPDX-License-Identifier: Apache-2.0
//
// What a Step means for bytes, and whether its jobs can be done: what every
// table asks before it begins.
//
// Plain values. Any thread.
#pragma once

#include <cstddef>
#include <optional>

#include "caisson/status.h"
#include "kernels/kernel_table.h"
#include "kernels/number.h"
#include "kernels/strided_view.h"

namespace caisson {

// Widths are powers of two.
struct CheckedStep {
  size_t src_width = 1;  // bytes of an element
  size_t dst_width = 1;
  size_t swap = 1;  // bytes of the unit to reverse; 1: none
  std::optional<NumberConversion> conversion;
  bool crc_of_dst = false;  // else of what was read; the same if none changes
};

// Errors: those of KernelTable::transform that a step has.
Result<CheckedStep> CheckStep(const Step& step);

struct CheckedJob {
  std::optional<StridedView> view;  // none: contiguous
  bool empty = false;               // there is nothing to do
};

// Errors: those of KernelTable::transform that a job has.
Result<CheckedJob> CheckJob(const CheckedStep& step, const Job& job);

}  // namespace caisson
