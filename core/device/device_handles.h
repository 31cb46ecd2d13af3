// SPDX-License-Identifier: Apache-2.0
//
// Owners of what a DeviceRuntime gives out. Destructors cannot report: who must
// know whether the work succeeded waits for it first.
//
// Thread safety: values, each of one thread at a time.
#pragma once

#include <cstddef>
#include <utility>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/base/status_macros.h"
#include "core/device/device_runtime.h"

namespace caisson {

// Memory of a device. Its end waits for the device.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;  // empty

  // 0 bytes give an empty buffer. Errors: those of DeviceRuntime::Allocate.
  static Result<DeviceBuffer> Allocate(DeviceRuntime& runtime, Device device,
                                       size_t bytes) {
    if (bytes == 0) return DeviceBuffer();
    CAISSON_ASSIGN_OR_RETURN(std::byte* const data,
                             runtime.Allocate(device, bytes));
    return DeviceBuffer(runtime, {data, bytes, device});
  }

  DeviceBuffer(DeviceBuffer&& other) noexcept
      : runtime_(std::exchange(other.runtime_, nullptr)),
        region_(std::exchange(other.region_, {})) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    if (this != &other) {
      static_cast<void>(Release());
      runtime_ = std::exchange(other.runtime_, nullptr);
      region_ = std::exchange(other.region_, {});
    }
    return *this;
  }
  ~DeviceBuffer() { static_cast<void>(Release()); }

  // Frees it early; afterwards it is empty.
  Status Release() {
    if (runtime_ == nullptr) return Status::Ok();
    DeviceRuntime* const runtime = std::exchange(runtime_, nullptr);
    const Region region = std::exchange(region_, {});
    return runtime->Free(region.device, region.data);
  }

  const Region& region() const { return region_; }
  std::byte* data() const { return region_.data; }  // not for the host to read
  size_t size() const { return region_.bytes; }
  bool empty() const { return region_.bytes == 0; }

 private:
  DeviceBuffer(DeviceRuntime& runtime, const Region& region)
      : runtime_(&runtime), region_(region) {}

  DeviceRuntime* runtime_ = nullptr;
  Region region_;
};

// A stream. Its end does not wait for the work in it.
class OwnedStream {
 public:
  OwnedStream() = default;  // none

  static Result<OwnedStream> Create(
      DeviceRuntime& runtime, Device device,
      StreamPriority priority = StreamPriority::kNormal) {
    CAISSON_ASSIGN_OR_RETURN(const DeviceStream stream,
                             runtime.CreateStream(device, priority));
    return OwnedStream(runtime, stream);
  }

  OwnedStream(OwnedStream&& other) noexcept
      : runtime_(std::exchange(other.runtime_, nullptr)),
        stream_(std::exchange(other.stream_, {})) {}
  OwnedStream& operator=(OwnedStream&& other) noexcept {
    if (this != &other) {
      Destroy();
      runtime_ = std::exchange(other.runtime_, nullptr);
      stream_ = std::exchange(other.stream_, {});
    }
    return *this;
  }
  ~OwnedStream() { Destroy(); }

  const DeviceStream& get() const { return stream_; }
  explicit operator bool() const { return runtime_ != nullptr; }

 private:
  OwnedStream(DeviceRuntime& runtime, const DeviceStream& stream)
      : runtime_(&runtime), stream_(stream) {}
  void Destroy() {
    if (runtime_ == nullptr) return;
    static_cast<void>(runtime_->DestroyStream(stream_));
    runtime_ = nullptr;
  }

  DeviceRuntime* runtime_ = nullptr;
  DeviceStream stream_;
};

class OwnedEvent {
 public:
  OwnedEvent() = default;  // none

  static Result<OwnedEvent> Create(DeviceRuntime& runtime, Device device,
                                   EventUse use = EventUse::kOrder) {
    CAISSON_ASSIGN_OR_RETURN(const DeviceEvent event,
                             runtime.CreateEvent(device, use));
    return OwnedEvent(runtime, event);
  }

  OwnedEvent(OwnedEvent&& other) noexcept
      : runtime_(std::exchange(other.runtime_, nullptr)),
        event_(std::exchange(other.event_, {})) {}
  OwnedEvent& operator=(OwnedEvent&& other) noexcept {
    if (this != &other) {
      Destroy();
      runtime_ = std::exchange(other.runtime_, nullptr);
      event_ = std::exchange(other.event_, {});
    }
    return *this;
  }
  ~OwnedEvent() { Destroy(); }

  const DeviceEvent& get() const { return event_; }
  explicit operator bool() const { return runtime_ != nullptr; }

 private:
  OwnedEvent(DeviceRuntime& runtime, const DeviceEvent& event)
      : runtime_(&runtime), event_(event) {}
  void Destroy() {
    if (runtime_ == nullptr) return;
    static_cast<void>(runtime_->DestroyEvent(event_));
    runtime_ = nullptr;
  }

  DeviceRuntime* runtime_ = nullptr;
  DeviceEvent event_;
};

}  // namespace caisson
