// SPDX-License-Identifier: Apache-2.0
//
// Pages of the host that a device's kernels can store into.
//
// Thread safety: a value of one thread at a time.
#pragma once

#include <cstddef>
#include <utility>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/device/device_runtime.h"

namespace caisson {

class PinnedPages {
 public:
  PinnedPages() = default;  // empty

  // Room for `bytes`. REQUIRES: the runtime outlives this.
  // Errors: those of Buffer::Allocate and Pin().
  static Result<PinnedPages> Allocate(DeviceRuntime& runtime, Device device,
                                      size_t bytes) {
    const size_t page = PageBytes();
    PinnedPages pages;
    CAISSON_ASSIGN_OR_RETURN(
        Buffer memory, Buffer::Allocate((bytes + page - 1) / page * page));
    CAISSON_RETURN_IF_ERROR(runtime.Pin(device, memory.bytes()));
    pages.runtime_ = &runtime;
    pages.device_ = device;
    pages.memory_ = std::move(memory);
    return pages;
  }

  PinnedPages(PinnedPages&& other) noexcept
      : runtime_(other.runtime_),
        device_(other.device_),
        memory_(std::move(other.memory_)) {}
  PinnedPages& operator=(PinnedPages&& other) noexcept {
    if (this == &other) return *this;
    Release();
    runtime_ = other.runtime_;
    device_ = other.device_;
    memory_ = std::move(other.memory_);
    return *this;
  }
  // REQUIRES: no work on it is outstanding.
  ~PinnedPages() { Release(); }

  std::byte* data() const { return memory_.data(); }
  size_t size() const { return memory_.size(); }  // whole pages

  // Afterwards it is empty. REQUIRES: as the destructor.
  void Release() {
    if (memory_.empty()) return;
    static_cast<void>(runtime_->Unpin(device_, memory_.data()));
    memory_ = Buffer();
  }

 private:
  DeviceRuntime* runtime_ = nullptr;
  Device device_;
  Buffer memory_;  // pinned unless empty
};

}  // namespace caisson
