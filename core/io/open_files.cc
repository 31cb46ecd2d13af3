// SPDX-License-Identifier: Apache-2.0
#include "core/io/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/checked_math.h"

namespace caisson {
namespace {

// For what the process opens besides.
constexpr uint64_t kSpare = 64;

uint64_t CountOpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator it("/proc/self/fd", error);
  uint64_t count = 0;
  for (const std::filesystem::directory_iterator end; !error && it != end;
       it.increment(error)) {
    ++count;
  }
  return count;
}

}  // namespace

void AllowOpenFiles(uint64_t more) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const uint64_t needed =
      CheckedAdd(more, CountOpenFiles() + kSpare).value_or(UINT64_MAX);
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) return;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY
                       ? static_cast<rlim_t>(needed)
                       : std::min<rlim_t>(needed, limit.rlim_max);
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace caisson
