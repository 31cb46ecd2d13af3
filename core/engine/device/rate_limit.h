// SPDX-License-Identifier: Apache-2.0
//
// Keeps a transfer below a rate, so that others on the same link are served.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace caisson {

class RateLimit {
 public:
  // 0: no limit. REQUIRES: not negative.
  explicit RateLimit(double bytes_per_second)
      : bytes_per_second_(bytes_per_second) {}

  bool limited() const { return bytes_per_second_ > 0; }

  // Sleeps until `bytes` more keep to the rate, or until `stop()` is true,
  // which is asked every few milliseconds.
  template <class Stop>
  void Take(uint64_t bytes, const Stop& stop) {
    if (!limited()) return;
    const std::lock_guard hold(lock_);  // who comes later waits for both
    constexpr std::chrono::milliseconds kLook{5};
    while (!stop()) {
      const Clock::time_point now = Clock::now();
      if (now >= next_) break;
      std::this_thread::sleep_for(
          std::min<Clock::duration>(next_ - now, kLook));
    }
    // A pause is not made up for by a burst.
    next_ = std::max(next_, Clock::now()) +
            std::chrono::duration_cast<Clock::duration>(
                std::chrono::duration<double>(static_cast<double>(bytes) /
                                              bytes_per_second_));
  }

 private:
  using Clock = std::chrono::steady_clock;

  const double bytes_per_second_;
  std::mutex lock_;
  Clock::time_point next_ = Clock::now();  // when the bytes so far are paid for
};

}  // namespace caisson
