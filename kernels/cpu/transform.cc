// SPDX-License-Identifier: Apache-2.0
//
// Each job is done in blocks small enough that the CRC of a block finds its
// bytes in L1: one pass over memory, whatever the step.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "caisson/crc32.h"
#include "kernels/cpu/byte_swap.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/gather.h"

namespace caisson::cpu {
namespace {

// Source and destination of a block fit into an L1 of 32 KiB together, and
// every element width divides it.
constexpr size_t kBlockBytes = 16 * 1024;

// What a step does to every job.
struct Pass {
  size_t width;     // bytes of an element
  size_t swap;      // bytes of the unit to reverse; 1: none
  bool crc_of_dst;  // else of what was read; the same if nothing is swapped
};

Result<Pass> PassOf(const Step& step) {
  for (const DType dtype : {step.from, step.to}) {
    if (ByteWidth(dtype) == 0) {
      return Status::InvalidArgument(std::string(Name(dtype)) +
                                     " elements do not fill whole bytes");
    }
  }
  if (step.op == Op::kConvert || step.from != step.to) {
    const std::string both =
        std::string(Name(step.from)) + " to " + std::string(Name(step.to));
    return step.op == Op::kConvert
               ? Status::Unsupported("no kernel converts " + both)
               : Status::InvalidArgument("only Op::kConvert takes " + both);
  }
  const size_t swap = step.op == Op::kByteSwap ? SwapWidth(step.from) : 1;
  return Pass{.width = ByteWidth(step.from),
              .swap = swap,
              .crc_of_dst = swap > 1 && step.crc_of == CrcOf::kStored};
}

// Moves `bytes` bytes of `job`: through `gather`, or from its source if null.
// The CRC of those that `pass` names, or 0 if the job wants none.
uint32_t RunBlocks(const Pass& pass, const Job& job, size_t bytes,
                   Gather* gather) {
  alignas(64) std::byte scratch[kBlockBytes];
  const bool swaps = pass.swap > 1 && (job.dst != nullptr || pass.crc_of_dst);
  uint32_t crc = 0;
  for (size_t done = 0; done < bytes;) {
    const size_t block = std::min(bytes - done, kBlockBytes);
    std::byte* dst = job.dst != nullptr ? job.dst + done : scratch;
    const std::byte* src = dst;
    if (gather != nullptr) {
      gather->Next(dst, block / pass.width);
    } else {
      src = job.src + done;
    }
    if (job.crc != nullptr && !pass.crc_of_dst) crc = Crc32(crc, {src, block});
    if (swaps) {
      SwapBytes(src, dst, block, pass.swap);
    } else if (job.dst != nullptr && src != dst) {
      std::memcpy(dst, src, block);
    }
    if (job.crc != nullptr && pass.crc_of_dst) crc = Crc32(crc, {dst, block});
    done += block;
  }
  return crc;
}

Status Run(const Pass& pass, const Job& job) {
  size_t bytes;
  if (__builtin_mul_overflow(job.elems, pass.width, &bytes)) {
    return Status::InvalidArgument(std::to_string(job.elems) +
                                   " elements are more than memory");
  }
  std::optional<Gather> gather;
  if (job.view != nullptr) {
    Result<Gather> made =
        Gather::Make(job.src, *job.view, job.elems, pass.width);
    if (!made.has_value()) return made.error();
    if (!made->contiguous()) {
      if (job.src == job.dst) {
        return Status::InvalidArgument("strided view gathered in place");
      }
      gather = *made;
    }
  }
  if (job.dst == nullptr && job.crc == nullptr) bytes = 0;  // nothing to do
  const uint32_t crc =
      RunBlocks(pass, job, bytes, gather.has_value() ? &*gather : nullptr);
  if (job.crc != nullptr) *job.crc = crc;
  if (job.bad != nullptr) *job.bad = job.elems;
  return Status::Ok();
}

}  // namespace

Status Transform(const Step& step, std::span<const Job> jobs, Workspace,
                 Stream) {
  const Result<Pass> pass = PassOf(step);
  if (!pass.has_value()) return pass.error();
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (Status status = Run(*pass, jobs[i]); !status.ok()) {
      return status.WithContext("job " + std::to_string(i));
    }
  }
  return Status::Ok();
}

size_t WorkspaceBytes(const Step&, std::span<const Job>) { return 0; }

}  // namespace caisson::cpu
