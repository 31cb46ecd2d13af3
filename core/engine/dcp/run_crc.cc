// SPDX-License-Identifier: Apache-2.0
#include "core/engine/dcp/run_crc.h"

#include <algorithm>
#include <iterator>

#include "caisson/crc32.h"

namespace caisson {

std::optional<uint32_t> RunCrc::Add(uint64_t offset,
                                    std::span<const std::byte> run) {
  const std::lock_guard lock(lock_);
  const uint64_t end = offset + run.size();
  uint64_t at = offset;
  while (at < end) {
    // What is known at `at`, or the next that is.
    auto next = known_.upper_bound(at);
    if (next != known_.begin()) {
      const auto before = std::prev(next);
      if (before->second.end > at) {
        at = before->second.end;
        continue;
      }
    }
    const uint64_t stop =
        next == known_.end() ? end : std::min(end, next->first);
    Insert(at, run.subspan(at - offset, stop - at));
    at = stop;
  }
  if (known_.size() != 1) return std::nullopt;
  const auto& [begin, known] = *known_.begin();
  if (begin != 0 || known.end != bytes_) return std::nullopt;
  const uint32_t crc = known.crc;
  known_.clear();
  return crc;
}

void RunCrc::Insert(uint64_t begin, std::span<const std::byte> run) {
  Known made{begin + run.size(), Crc32(0, run)};
  const auto next = known_.lower_bound(begin);
  if (next != known_.end() && next->first == made.end) {
    made.crc = Crc32Combine(made.crc, next->second.crc,
                            next->second.end - next->first);
    made.end = next->second.end;
    known_.erase(next);
  }
  const auto behind = known_.lower_bound(begin);
  if (behind != known_.begin()) {
    const auto before = std::prev(behind);
    if (before->second.end == begin) {
      before->second.crc =
          Crc32Combine(before->second.crc, made.crc, made.end - begin);
      before->second.end = made.end;
      return;
    }
  }
  known_.emplace(begin, made);
}

}  // namespace caisson
