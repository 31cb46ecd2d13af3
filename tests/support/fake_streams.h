// SPDX-License-Identifier: Apache-2.0
//
// Streams of devices that are not there: work is done on threads of its own,
// in the order of each stream, after random delays, and between streams in
// random order.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "caisson/memory.h"
#include "caisson/status.h"

namespace caisson {

class FakeStreams {
 public:
  using Clock = std::chrono::steady_clock;

  // A point in a stream. Guarded by the lock of its FakeStreams.
  struct Marker {
    bool reached = false;
    Clock::time_point when;
  };
  using MarkerHandle = std::shared_ptr<Marker>;

  FakeStreams(int devices, uint64_t seed, std::chrono::microseconds max_delay);
  // Does what is left first.
  ~FakeStreams();

  void* Create(Device device);
  // False if there is no such stream. Work that is in it goes on.
  bool Destroy(void* stream);
  // Whether it is a stream of `device`; null is its default stream.
  bool Has(Device device, void* stream) const;
  // Of any device.
  bool Has(void* stream) const;

  // Work that fails breaks the device. REQUIRES: Has(device, stream).
  void Do(Device device, void* stream, std::function<Status()> work);
  MarkerHandle Mark(Device device, void* stream);
  void WaitFor(Device device, void* stream, MarkerHandle marker);

  // Returns when the device got there, or broke; says which.
  Status Await(Device device, const MarkerHandle& marker);
  bool Reached(const MarkerHandle& marker) const;
  double Milliseconds(const MarkerHandle& from, const MarkerHandle& to) const;

  // From now on the device does nothing and every call answers `status`; what
  // it is doing is done when this returns. The first one counts.
  void Break(Device device, const Status& status);
  Status broken(Device device) const;

  // Returns when the streams of a device have nothing to do.
  void AwaitAll(Device device);

  size_t streams() const;  // that were created and not destroyed
  // Copies and kernels that are not done; waiting touches nothing.
  size_t work() const;

 private:
  struct Item {
    Clock::time_point due;
    std::function<Status()> work;  // may be null
    MarkerHandle waits;            // may be null
    MarkerHandle marks;            // may be null
  };
  struct Stream {
    Device device;
    std::deque<Item> items;
    bool busy = false;
    bool destroyed = false;
  };
  using StreamHandle = std::shared_ptr<Stream>;

  Stream& Find(Device device, void* stream);
  void Push(Device device, void* stream, Item item);
  void Run();
  void BreakLocked(size_t ordinal, const Status& status);
  bool IsIdle(const Stream& stream) const;
  bool IsIdle(Device device) const;

  const std::chrono::microseconds max_delay_;
  mutable std::mutex lock_;
  std::condition_variable changed_;
  std::mt19937_64 random_;                 // guarded by lock_
  std::map<void*, StreamHandle> streams_;  // guarded by lock_
  std::vector<StreamHandle> defaults_;     // by ordinal; guarded by lock_
  std::vector<Status> broken_;             // by ordinal; guarded by lock_
  bool ending_ = false;                    // guarded by lock_
  std::vector<std::thread> threads_;
};

}  // namespace caisson
