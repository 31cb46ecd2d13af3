// SPDX-License-Identifier: Apache-2.0
//
// One line on stderr that says how far long work is; nothing where stderr is
// no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace caisson::cli {

// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// Used by one thread. The line is gone once this is destroyed.
class Progress {
 public:
  // `total_bytes` is the work in all.
  explicit Progress(uint64_t total_bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Says that `bytes` are done and `what` comes next.
  void Show(uint64_t bytes, std::string_view what);

  // The same if the last line is old enough that an eye can follow.
  void Update(uint64_t bytes, std::string_view what);

  // Removes the line, so that something else can be printed.
  void Clear();

 private:
  const uint64_t total_;
  const bool terminal_;
  const Stopwatch watch_;
  double shown_ = 0;  // seconds of the watch
};

}  // namespace caisson::cli
