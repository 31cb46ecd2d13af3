// SPDX-License-Identifier: Apache-2.0
#include "core/engine/ticket.h"

#include <chrono>
#include <utility>

namespace caisson {

void Ticket::Shared::SetStaged() {
  {
    const std::lock_guard hold(lock_);
    staged_ = true;
  }
  changed_.notify_all();
}

void Ticket::Shared::SetOver(const Result<SaveReport>& result) {
  {
    const std::lock_guard hold(lock_);
    result_ = result;
  }
  changed_.notify_all();
}

Status Ticket::Shared::TakeUnobserved() {
  const std::lock_guard hold(lock_);
  if (!result_ || std::exchange(observed_, true)) return Status::Ok();
  const Status status = result_->status();
  // Somebody asked for it.
  return status.code() == StatusCode::kCancelled ? Status::Ok() : status;
}

Status Ticket::Shared::WaitStaged() {
  std::unique_lock hold(lock_);
  changed_.wait(hold, [this] { return staged_ || result_; });
  if (!result_) return Status::Ok();
  observed_ = true;
  return result_->status();
}

Result<SaveReport> Ticket::Shared::WaitOver() {
  std::unique_lock hold(lock_);
  changed_.wait(hold, [this] { return result_.has_value(); });
  observed_ = true;
  return *result_;
}

bool Ticket::Shared::over() const {
  const std::lock_guard hold(lock_);
  return result_.has_value();
}

bool Ticket::Shared::StagedWithin(double seconds) {
  std::unique_lock hold(lock_);
  return changed_.wait_for(hold, std::chrono::duration<double>(seconds),
                           [this] { return staged_ || result_; });
}

bool Ticket::Shared::OverWithin(double seconds) {
  std::unique_lock hold(lock_);
  return changed_.wait_for(hold, std::chrono::duration<double>(seconds),
                           [this] { return result_.has_value(); });
}

Progress Ticket::Shared::progress() const {
  return {written_, total_, since_.seconds(), nullptr};
}

Ticket::Ticket(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
Ticket::Ticket(Ticket&&) noexcept = default;
Ticket& Ticket::operator=(Ticket&&) noexcept = default;
Ticket::~Ticket() = default;

Status Ticket::Staged() const { return shared_->WaitStaged(); }
Result<SaveReport> Ticket::Wait() const { return shared_->WaitOver(); }
bool Ticket::done() const { return shared_->over(); }
bool Ticket::StagedWithin(double seconds) const {
  return shared_->StagedWithin(seconds);
}
bool Ticket::DoneWithin(double seconds) const {
  return shared_->OverWithin(seconds);
}
Progress Ticket::progress() const { return shared_->progress(); }
void Ticket::Cancel() { shared_->Cancel(); }

}  // namespace caisson
