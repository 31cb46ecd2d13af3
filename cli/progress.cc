// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "cli/terminal.h"
#include "cli/units.h"

namespace caisson::cli {

Progress::Progress(uint64_t total_bytes)
    : total_(total_bytes), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Clear(); }

void Progress::Show(uint64_t bytes, std::string_view what) {
  if (!terminal_) return;
  shown_ = watch_.seconds();
  std::string line = fmt::format("{} of {}", ByteText(bytes), ByteText(total_));
  if (bytes > 0) {
    const double seconds = watch_.seconds();
    const double left =
        seconds *
        (static_cast<double>(total_) / static_cast<double>(bytes) - 1);
    line += fmt::format(", {}, {} left", RateText(bytes, seconds),
                        TimeText(left > 0 ? left : 0));
  }
  fmt::print(stderr, "\r\033[K{}  {}", line, Abbreviated(what, 40));
  (void)std::fflush(stderr);
}

void Progress::Update(uint64_t bytes, std::string_view what) {
  constexpr double kSeconds = 0.1;
  if (terminal_ && watch_.seconds() - shown_ >= kSeconds) Show(bytes, what);
}

void Progress::Clear() {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K");
  (void)std::fflush(stderr);
}

}  // namespace caisson::cli
