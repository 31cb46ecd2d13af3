// SPDX-License-Identifier: Apache-2.0
//
// Where other threads leave what they have done for the one that coordinates
// them.
//
// Thread safety: Add() may be called on many threads at once; the rest on one.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace caisson {

template <class T>
class Arrivals {
 public:
  void Add(T arrival) {
    // Under the lock: who takes the last one may destroy this object.
    const std::lock_guard hold(lock_);
    arrived_.push_back(std::move(arrival));
    some_.notify_one();
  }

  // What has come since, without waiting.
  std::vector<T> Take() {
    const std::lock_guard hold(lock_);
    return std::exchange(arrived_, {});
  }

  // Waits until there is something to take.
  void Wait() {
    std::unique_lock hold(lock_);
    some_.wait(hold, [this] { return !arrived_.empty(); });
  }

 private:
  std::mutex lock_;
  std::condition_variable some_;
  std::vector<T> arrived_;  // guarded by lock_
};

}  // namespace caisson
