// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/pinned_windows.h"

#include <algorithm>
#include <utility>

#include "core/engine/stopwatch.h"

namespace caisson {

PinnedWindows::PinnedWindows(std::span<std::byte> memory, size_t window_bytes,
                             size_t segment_bytes)
    : memory_(memory),
      // A copy must not cross the edge of two ranges that were pinned apart.
      segment_bytes_(std::max<size_t>(segment_bytes / window_bytes, 1) *
                     window_bytes),
      segments_((memory.size() + segment_bytes_ - 1) / segment_bytes_,
                State::kUnknown) {}

PinnedWindows::~PinnedWindows() {
  worker_.reset();
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i] != State::kPinned) continue;
    static_cast<void>(runtime_->Unpin(device_, Bytes(i).data()));
  }
}

std::span<std::byte> PinnedWindows::Bytes(size_t segment) const {
  const size_t first = segment * segment_bytes_;
  return memory_.subspan(first,
                         std::min(segment_bytes_, memory_.size() - first));
}

size_t PinnedWindows::SegmentOf(const std::byte* window) const {
  return static_cast<size_t>(window - memory_.data()) / segment_bytes_;
}

PinnedWindows::State PinnedWindows::WantLocked(DeviceRuntime& runtime,
                                               Device device, size_t segment) {
  State& state = segments_[segment];
  // Memory that one segment could not be had of is not asked for again.
  if (state == State::kUnknown && !report_.problem.empty()) {
    state = State::kFailed;
  }
  if (state != State::kUnknown) return state;
  if (worker_ == nullptr) {
    auto worker = WorkerPool::Create(1, Priority::kNormal);
    if (!worker) {
      report_.problem = worker.error().ToString();
      return state = State::kFailed;
    }
    worker_ = std::move(*worker);
    runtime_ = &runtime;
    device_ = device;
  }
  state = State::kBegun;
  worker_->Run([this, device = device_, segment] { Pin(device, segment); });
  return state;
}

void PinnedWindows::Pin(Device device, size_t segment) {
  const Stopwatch watch;
  const std::span<std::byte> bytes = Bytes(segment);
  const Status pinned = runtime_->Pin(device, bytes);
  {
    const std::lock_guard hold(lock_);
    segments_[segment] = pinned.ok() ? State::kPinned : State::kFailed;
    report_.seconds += watch.seconds();
    if (pinned.ok()) report_.bytes += bytes.size();
    if (!pinned.ok()) report_.problem = pinned.ToString();
  }
  known_.notify_all();
}

bool PinnedWindows::Want(DeviceRuntime& runtime, Device device,
                         const std::byte* window) {
  const std::lock_guard hold(lock_);
  return WantLocked(runtime, device, SegmentOf(window)) == State::kPinned;
}

bool PinnedWindows::Await(DeviceRuntime& runtime, Device device,
                          const std::byte* window) {
  const size_t segment = SegmentOf(window);
  std::unique_lock hold(lock_);
  static_cast<void>(WantLocked(runtime, device, segment));
  known_.wait(hold, [&] { return segments_[segment] != State::kBegun; });
  return segments_[segment] == State::kPinned;
}

PinnedWindows::Report PinnedWindows::report() const {
  const std::lock_guard hold(lock_);
  return report_;
}

}  // namespace caisson
