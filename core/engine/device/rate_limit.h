// SPDX-License-Identifier: Apache-2.0
//
// Keeps a transfer below a rate, so that others on the same link are served.
//
// Thread safety: one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace caisson {

class RateLimit {
 public:
  // 0: no limit. REQUIRES: not negative.
  explicit RateLimit(double bytes_per_second)
      : bytes_per_second_(bytes_per_second) {}

  bool limited() const { return bytes_per_second_ > 0; }

  // Sleeps until `bytes` more keep to the rate, or until `stop`, which is
  // looked at every few milliseconds.
  void Take(uint64_t bytes, const std::atomic<bool>& stop);

 private:
  using Clock = std::chrono::steady_clock;

  const double bytes_per_second_;
  Clock::time_point next_ = Clock::now();  // when the bytes so far are paid for
};

}  // namespace caisson
