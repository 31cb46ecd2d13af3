// SPDX-License-Identifier: Apache-2.0
//
// Where bytes live: Device, Stream, Region. Plain values that own nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace caisson {

// A memory space and, for spaces that come in several, which one.
struct Device {
  enum class Space : uint8_t { kCpu, kCuda };

  Space space = Space::kCpu;
  int ordinal = 0;

  static Device Cpu() { return {}; }
  static Device Cuda(int ordinal) { return {Space::kCuda, ordinal}; }

  bool is_cpu() const { return space == Space::kCpu; }
  friend bool operator==(const Device&, const Device&) = default;
};

// "cpu" or "cuda:1".
std::string Name(Device device);

// Orders work on a device; for CUDA it holds a cudaStream_t. The default is
// the device's default stream. Host work ignores it. Does not own the stream.
struct Stream {
  void* native = nullptr;
};

// A stream and the device it is of.
struct DeviceStream {
  Device device;
  Stream stream;
};

// A run of bytes in one memory space. Does not own them.
struct Region {
  std::byte* data = nullptr;
  size_t bytes = 0;
  Device device;
};

}  // namespace caisson
