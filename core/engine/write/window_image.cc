// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/window_image.h"

#include <algorithm>
#include <span>

#include "core/engine/job_batch.h"
#include "core/engine/stopwatch.h"

namespace caisson {

std::span<std::byte> TakePlace(WindowImage& window, size_t piece, size_t bytes,
                               uint32_t** crc) {
  WindowEvent event;
  event.kind = WindowEvent::Kind::kStored;
  event.piece = piece;
  event.index = window.copies.size();
  event.at = window.used;
  event.bytes = std::min(bytes, window.block.size() - window.used);
  window.events.push_back(event);
  *crc = &window.copies.emplace_back(0);
  window.used += event.bytes;
  return window.block.bytes().subspan(event.at, event.bytes);
}

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
