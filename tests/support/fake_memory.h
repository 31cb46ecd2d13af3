// SPDX-License-Identifier: Apache-2.0
//
// Memory of devices that are not there. The address that is given out cannot be
// touched: who does so on the host crashes, as it would with a real device. The
// same bytes lie at a second address, which "kernels" and "copies" use.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "core/device/device_runtime.h"

namespace caisson {

class FakeMemory {
 public:
  FakeMemory(int devices, size_t bytes_each);
  ~FakeMemory();
  FakeMemory(const FakeMemory&) = delete;
  FakeMemory& operator=(const FakeMemory&) = delete;

  // As those of DeviceRuntime. Memory that is allocated or freed holds noise.
  Result<std::byte*> Allocate(Device device, size_t bytes);
  Status Free(Device device, std::byte* data);
  DeviceMemory Of(Device device) const;
  Status Pin(std::span<std::byte> memory);
  Status Unpin(std::byte* data);

  // Where the host may touch what `device` has at `data`: memory of its own,
  // or within one range of pinned memory. Null if it may not touch all of it.
  std::byte* Touchable(Device device, const std::byte* data,
                       size_t bytes) const;

  // The same of memory of any device; null for host memory.
  std::byte* Alias(const std::byte* data, size_t bytes) const;

  bool IsPinned(const std::byte* data, size_t bytes) const;
  bool TouchesPinned(const std::byte* data, size_t bytes) const;
  // Whether any byte lies in the range of a device.
  bool IsDevice(const std::byte* data) const;

  size_t allocations() const;
  size_t pins() const;

 private:
  struct Arena {
    std::byte* given = nullptr;  // not to be touched
    std::byte* alias = nullptr;
    std::map<size_t, size_t> taken;  // bytes, by offset
  };

  const std::byte* Find(const Arena& arena, const std::byte* data,
                        size_t bytes) const;

  const size_t bytes_;
  mutable std::mutex lock_;
  std::vector<Arena> arenas_;                  // by ordinal
  std::map<const std::byte*, size_t> pinned_;  // bytes, by first byte
};

}  // namespace caisson
