// SPDX-License-Identifier: Apache-2.0
#include "core/engine/device/rate_limit.h"

#include <algorithm>
#include <thread>

namespace caisson {

void RateLimit::Take(uint64_t bytes, const std::atomic<bool>& stop) {
  if (!limited()) return;
  constexpr std::chrono::milliseconds kLook{5};
  while (!stop) {
    const Clock::time_point now = Clock::now();
    if (now >= next_) break;
    std::this_thread::sleep_for(std::min<Clock::duration>(next_ - now, kLook));
  }
  // A pause is not made up for by a burst.
  next_ =
      std::max(next_, Clock::now()) +
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
          static_cast<double>(bytes) / bytes_per_second_));
}

}  // namespace caisson
