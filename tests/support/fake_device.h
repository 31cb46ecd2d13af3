// SPDX-License-Identifier: Apache-2.0
//
// Devices that are not there, for tests of what the engine does with devices:
// a runtime and kernels that keep to the rules of CUDA's, notice when the
// engine breaks one, and fail when told to.
//
// * Memory of a device crashes who touches it on the host.
// * Streams run on threads of their own, with random delays; see fake_streams.
// * Copies from and to host memory that is not pinned are done when they
//   return. Kernels that reach for it break their device, as on a real one.
// * The kernels are those of the host, enqueued.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "caisson/memory.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/device/device_runtime.h"
#include "core/engine/device/devices.h"
#include "kernels/kernel_table.h"
#include "tests/support/fake_memory.h"
#include "tests/support/fake_streams.h"

namespace caisson {

// Which operation fails, and how.
struct FakeFault {
  int at = 0;             // of those counted, the first is 0
  std::string only = {};  // counts those of this name; empty: all of them
  Status status = {};     // kDevice: every later one of the device fails too
  bool and_after = false;
  bool later = false;  // "copy", "transform": when the stream gets there,
                       // which breaks the device
};

struct FakeDeviceOptions {
  int devices = 1;
  size_t memory_bytes = size_t{64} << 20;  // of each; takes what is touched
  uint64_t seed = 1;
  std::chrono::microseconds max_delay{100};  // of a copy or a kernel
  std::optional<FakeFault> fault = {};
};

// What is there and was not given back.
struct FakeCounts {
  size_t allocations = 0;
  size_t pins = 0;
  size_t streams = 0;
  size_t events = 0;
  size_t work = 0;

  friend bool operator==(const FakeCounts&, const FakeCounts&) = default;
};

class FakeDevices final : public Devices {
 public:
  explicit FakeDevices(const FakeDeviceOptions& options = {});
  ~FakeDevices() override;

  Result<DeviceRuntime*> Runtime() override;
  Result<const KernelTable*> Kernels(Device device) override;

  // --- for the test; none of it counts as an operation or fails -------------

  // From now on, counting from 0 again. None: nothing fails.
  void SetFault(std::optional<FakeFault> fault);

  // Whether it came to pass.
  bool fired() const;

  // The names of all operations so far, in order: "copy", "record", ...
  std::vector<std::string> log() const;

  // The rules that were broken; must be empty.
  std::vector<std::string> violations() const;

  FakeCounts counts() const;

  // A copy of `bytes` in memory of `device`, freed with the last handle, which
  // must not outlive this. None if the memory is full.
  std::shared_ptr<std::byte> Upload(Device device,
                                    std::span<const std::byte> bytes);

  // The bytes at memory of a device, for tests to read and write.
  std::span<std::byte> Alias(const std::byte* data, size_t bytes);

  // A stream that is there until the end and counts for nothing.
  DeviceStream MakeStream(Device device);

  // Runs `work` on the stream, after what it was given before.
  void Enqueue(const DeviceStream& stream, std::function<void()> work);

  // Returns when all devices have nothing to do.
  void AwaitAll();

 private:
  class RuntimeImpl;
  struct Event;

  // Memory as a kernel sees it.
  class Sight;
  // What a kernel does when its turn comes, with what it sees; nothing if it
  // misses some of it.
  using Kernel = std::function<Status(Sight& sight)>;

  static Status Transform(const Step& step, std::span<const Job> jobs,
                          Workspace workspace, Stream stream);
  static Status PlaneEncode(std::span<const PlaneEncodeJob> jobs,
                            Workspace workspace, Stream stream);
  static Status PlaneDecode(std::span<const PlaneDecodeJob> jobs,
                            Workspace workspace, Stream stream);
  // On the device that the workspace is of; `least` bytes are wanted there.
  static Status Launch(const char* name, Workspace workspace, size_t least,
                       Stream stream, Kernel kernel);
  Status LaunchOn(Device device, const char* name, Workspace workspace,
                  size_t least, Stream stream, Kernel kernel);
  Status Run(Device device, Workspace workspace, const Kernel& kernel);
  void Live(bool lives);

  // Counts an operation on `device`; its status, if it is to fail now. Sets
  // `later` if it is to fail when the stream gets there.
  Status Begin(Device device, const char* name, Status* later = nullptr);
  Status Violation(const std::string& what);
  bool HasDevice(Device device) const;

  const FakeDeviceOptions options_;
  FakeMemory memory_;
  std::unique_ptr<RuntimeImpl> runtime_;

  mutable std::mutex lock_;
  std::optional<FakeFault> fault_;         // guarded by lock_
  int count_ = 0;                          // guarded by lock_
  bool fired_ = false;                     // guarded by lock_
  std::vector<std::string> log_;           // guarded by lock_
  std::vector<std::string> violations_;    // guarded by lock_
  std::set<Event*> events_;                // guarded by lock_
  std::vector<DeviceStream> own_streams_;  // guarded by lock_
  size_t own_allocations_ = 0;             // guarded by lock_

  FakeStreams streams_;  // its end does what is left, with the rest still there
};

}  // namespace caisson
