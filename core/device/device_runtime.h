// SPDX-License-Identifier: Apache-2.0
//
// What a device runtime does for us, without its headers: memory, streams,
// events and copies. One implementation is CUDA's; tests have another.
//
// Every function names the device it works on and leaves the calling thread's
// current device as it was. A failure of earlier asynchronous work may come
// from any call as kDevice; it then comes from every later one too.
//
// Thread safety: every function may run on many threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/memory.h"
#include "caisson/status.h"

namespace caisson {

// A point in the work of a stream. Does not own it.
struct DeviceEvent {
  Device device;
  void* native = nullptr;
};

struct DeviceMemory {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};

enum class StreamPriority : uint8_t {
  kNormal,
  kLowest,  // gives way to the streams of a training
};

enum class EventUse : uint8_t {
  kOrder,
  kTiming,  // also for MillisecondsBetween(); costs more to record
};

class DeviceRuntime {
 public:
  virtual ~DeviceRuntime() = default;

  // --- memory ---------------------------------------------------------------

  // Memory of the device, aligned to 256 bytes; its contents are unspecified.
  // May wait for the device.
  //
  // REQUIRES: bytes > 0.
  // Errors: kOutOfMemory, after which the device works on; kUnavailable if
  // there is no such device.
  virtual Result<std::byte*> Allocate(Device device, size_t bytes) = 0;

  // Waits for the work that was given to the device before.
  virtual Status Free(Device device, std::byte* data) = 0;

  virtual Result<DeviceMemory> MemoryOf(Device device) = 0;

  // Locks host memory in place, for all devices: copies from and to it are
  // asynchronous and at the speed of the link, and kernels may read and write
  // it. Takes about as long as a first touch of it.
  //
  // REQUIRES: whole pages, no byte of them pinned.
  virtual Status Pin(Device device, std::span<std::byte> memory) = 0;

  // REQUIRES: `data` is where a Pin() that succeeded began; no work on it is
  // outstanding.
  virtual Status Unpin(Device device, std::byte* data) = 0;

  // --- streams and events
  // -----------------------------------------------------

  // A stream that does not wait for the default stream, nor that for it.
  virtual Result<DeviceStream> CreateStream(Device device,
                                            StreamPriority priority) = 0;

  // Work that is in it goes on.
  virtual Status DestroyStream(const DeviceStream& stream) = 0;

  virtual Result<DeviceEvent> CreateEvent(Device device, EventUse use) = 0;
  virtual Status DestroyEvent(const DeviceEvent& event) = 0;

  // The event comes to be what `stream` has been given so far. A stream with
  // the native handle nullptr is the device's (legacy) default stream.
  //
  // REQUIRES: both are of one device.
  virtual Status Record(const DeviceEvent& event,
                        const DeviceStream& stream) = 0;

  // What is given to `stream` from now on waits for the event, as it is now; of
  // any device. An event that was never recorded has happened.
  virtual Status WaitFor(const DeviceStream& stream,
                         const DeviceEvent& event) = 0;

  // Waits on the host, asleep.
  virtual Status Synchronize(const DeviceEvent& event) = 0;
  virtual Status Synchronize(const DeviceStream& stream) = 0;

  // Whether Synchronize() would return at once.
  virtual Result<bool> Happened(const DeviceEvent& event) = 0;

  // REQUIRES: both were made for kTiming, recorded, and have happened.
  virtual Result<double> MillisecondsBetween(const DeviceEvent& from,
                                             const DeviceEvent& to) = 0;

  // --- copies ---------------------------------------------------------------

  // Copies between host and device in either direction, or between devices, in
  // the order of `stream`. Returns at once for memory of devices and pinned
  // memory; for other host memory it may wait for the copy.
  //
  // REQUIRES: the ranges are valid and disjoint until the stream gets there.
  virtual Status Copy(std::byte* dst, const std::byte* src, size_t bytes,
                      const DeviceStream& stream) = 0;
};

// The runtime of CUDA, which lives as long as the process. The first call
// starts the driver; no context is made on any device before it is used.
//
// Errors: as CudaDevices(): kUnavailable without CUDA in this build, a driver,
// or a device.
Result<DeviceRuntime*> CudaRuntime();

}  // namespace caisson
