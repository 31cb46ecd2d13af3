// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/window_image.h"

#include <span>

#include "core/engine/job_batch.h"
#include "core/engine/stopwatch.h"

namespace caisson {

void FillWindow(const KernelTable& kernels, WindowImage& window) {
  const Stopwatch watch;
  const std::span<std::byte> bytes = window.block.bytes();
  window.status =
      TransformAll(kernels, std::span(window.fills), [&](Fill& fill) {
        Job job;
        job.src = fill.src;
        job.dst = &bytes[fill.at];
        job.elems = fill.bytes / ByteWidth(fill.step.from);
        job.crc = &fill.crc;
        return job;
      });
  window.fill_seconds = watch.seconds();
}

}  // namespace caisson
