// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/window_image.h"

#include <span>

#include "core/engine/job_batch.h"
#include "core/engine/stopwatch.h"

namespace caisson {

void FillWindow(const KernelTable& kernels, std::span<std::byte> window,
                PlaceFills& fills) {
  const Stopwatch watch;
  fills.status = TransformAll(kernels, std::span(fills.fills), [&](Fill& fill) {
    Job job;
    job.src = fill.src;
    job.dst = &window[fill.at];
    job.elems = fill.bytes / ByteWidth(fill.step.from);
    job.crc = &fill.crc;
    return job;
  });
  fills.seconds = watch.seconds();
}

void FinishWindow(const KernelTable& kernels, std::span<std::byte> window,
                  PlaceFills& fills) {
  const Stopwatch watch;
  fills.status = TransformAll(kernels, std::span(fills.fills), [&](Fill& fill) {
    Job job;
    job.src = &window[fill.at];
    job.dst = fill.step.op == Op::kCopy ? nullptr : &window[fill.at];
    job.elems = fill.bytes / ByteWidth(fill.step.from);
    job.crc = &fill.crc;
    return job;
  });
  fills.seconds = watch.seconds();
}

}  // namespace caisson
