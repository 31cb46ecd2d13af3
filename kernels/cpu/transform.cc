// SPDX-License-Identifier: Apache-2.0
//
// Checks a step and its jobs, and hands each to a BlockLoop.
#include <algorithm>
#include <optional>
#include <string>

#include "kernels/cpu/block_loop.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/stream_copy.h"

namespace caisson::cpu {
namespace {

Result<Pass> PassOf(const Step& step) {
  for (const DType dtype : {step.from, step.to}) {
    if (ByteWidth(dtype) == 0) {
      return Status::InvalidArgument(std::string(Name(dtype)) +
                                     " elements do not fill whole bytes");
    }
  }
  Pass pass;
  pass.src_width = ByteWidth(step.from);
  pass.dst_width = ByteWidth(step.to);
  pass.Size(step.stores);
  if (step.from != step.to) {
    if (step.op != Op::kConvert) {
      return Status::InvalidArgument("only Op::kConvert takes " +
                                     std::string(Name(step.from)) + " to " +
                                     std::string(Name(step.to)));
    }
    Result<Conversion> conversion = Conversion::Make(step.from, step.to);
    if (!conversion.has_value()) return conversion.error();
    pass.conversion = *conversion;
  }
  if (step.op == Op::kByteSwap) pass.swap = SwapWidth(step.from);
  pass.crc_of_dst =
      (pass.swap > 1 || pass.conversion) && step.crc_of == CrcOf::kStored;
  return pass;
}

Status Run(const Pass& pass, const Job& job) {
  size_t bytes;
  const size_t widest = std::max(pass.src_width, pass.dst_width);
  if (__builtin_mul_overflow(job.elems, widest, &bytes)) {
    return Status::InvalidArgument(std::to_string(job.elems) +
                                   " elements are more than memory");
  }
  if (pass.dst_width > pass.src_width && job.src == job.dst && job.elems > 0) {
    return Status::InvalidArgument("elements widened in place");
  }
  std::optional<Gather> gather;
  if (job.view != nullptr) {
    Result<Gather> made =
        Gather::Make(job.src, *job.view, job.elems, pass.src_width);
    if (!made.has_value()) return made.error();
    if (!made->contiguous()) {
      if (job.src == job.dst) {
        return Status::InvalidArgument("strided view gathered in place");
      }
      gather = *made;
    }
  }
  if (job.dst == nullptr && job.crc == nullptr && job.bad == nullptr) {
    return Status::Ok();  // nothing to do
  }
  BlockLoop loop(pass, job, gather ? &*gather : nullptr);
  loop.Run();
  if (job.crc != nullptr) *job.crc = loop.crc();
  if (job.bad != nullptr) *job.bad = loop.bad();
  return Status::Ok();
}

}  // namespace

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Result<Pass> pass = PassOf(step);
  if (!pass.has_value()) return pass.error();
  Status status;
  for (size_t i = 0; i < jobs.size() && status.ok(); ++i) {
    status = Run(*pass, jobs[i]);
    if (!status.ok()) status = status.WithContext("job " + std::to_string(i));
  }
  StreamFence();
  return status;
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

}  // namespace caisson::cpu
