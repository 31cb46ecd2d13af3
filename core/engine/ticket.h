// SPDX-License-Identifier: Apache-2.0
//
// What a Ticket and the save that it stands for have in common.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "caisson/engine.h"
#include "core/engine/stopwatch.h"

namespace caisson {

class Ticket::Shared {
 public:
  // --- for the save
  // -----------------------------------------------------------

  void SetTotal(uint64_t bytes) { total_ = bytes; }
  void SetWritten(uint64_t bytes) { written_ = bytes; }
  void SetStaged();
  void SetOver(const Result<SaveReport>& result);

  const std::atomic<bool>& cancelled() const { return cancelled_; }

  // The error of a save that is over, unless somebody was told.
  Status TakeUnobserved();

  // --- for the ticket
  // ---------------------------------------------------------

  Status WaitStaged();
  Result<SaveReport> WaitOver();
  bool over() const;
  bool StagedWithin(double seconds);
  bool OverWithin(double seconds);
  caisson::Progress progress() const;
  void Cancel() { cancelled_ = true; }

 private:
  const Stopwatch since_{};
  std::atomic<uint64_t> total_{0};
  std::atomic<uint64_t> written_{0};
  std::atomic<bool> cancelled_{false};

  mutable std::mutex lock_;
  std::condition_variable changed_;
  bool staged_ = false;                       // guarded by lock_
  bool observed_ = false;                     // guarded by lock_
  std::optional<Result<SaveReport>> result_;  // guarded by lock_
};

}  // namespace caisson
