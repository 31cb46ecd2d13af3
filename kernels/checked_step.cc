// SPDX-License-Identifier: Apache-2.0
#include "kernels/checked_step.h"

#include <algorithm>
#include <string>

namespace caisson {

Result<CheckedStep> CheckStep(const Step& step) {
  for (const DType dtype : {step.from, step.to}) {
    if (ByteWidth(dtype) == 0) {
      return Status::InvalidArgument(std::string(Name(dtype)) +
                                     " elements do not fill whole bytes");
    }
  }
  CheckedStep checked;
  checked.src_width = ByteWidth(step.from);
  checked.dst_width = ByteWidth(step.to);
  if (step.from != step.to) {
    if (step.op != Op::kConvert) {
      return Status::InvalidArgument("only Op::kConvert takes " +
                                     std::string(Name(step.from)) + " to " +
                                     std::string(Name(step.to)));
    }
    Result<NumberConversion> conversion = ConversionOf(step.from, step.to);
    if (!conversion.has_value()) return conversion.error();
    checked.conversion = *conversion;
  }
  if (step.op == Op::kByteSwap) checked.swap = SwapWidth(step.from);
  checked.crc_of_dst =
      (checked.swap > 1 || checked.conversion) && step.crc_of == CrcOf::kStored;
  return checked;
}

Result<CheckedJob> CheckJob(const CheckedStep& step, const Job& job) {
  size_t bytes;
  const size_t widest = std::max(step.src_width, step.dst_width);
  if (__builtin_mul_overflow(job.elems, widest, &bytes)) {
    return Status::InvalidArgument(std::to_string(job.elems) +
                                   " elements are more than memory");
  }
  if (step.dst_width > step.src_width && job.src == job.dst && job.elems > 0) {
    return Status::InvalidArgument("elements widened in place");
  }
  CheckedJob checked;
  if (job.view != nullptr) {
    const Result<StridedView> view =
        StridedView::Make(*job.view, job.elems, step.src_width);
    if (!view.has_value()) return view.error();
    if (!view->contiguous()) {
      if (job.src == job.dst) {
        return Status::InvalidArgument("strided view gathered in place");
      }
      checked.view = *view;
    }
  }
  checked.empty =
      job.dst == nullptr && job.crc == nullptr && job.bad == nullptr;
  return checked;
}

}  // namespace caisson
