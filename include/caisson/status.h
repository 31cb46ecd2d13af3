// SPDX-License-Identifier: Apache-2.0
//
// Status and Result: how every fallible call of Caisson answers.
//
// The library never prints, aborts or throws; a failure is a value. The code
// names the caller's next move, the message names file, record or tensor,
// offset, what was expected and what was found.
//
// Both types are values and may be copied between threads.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace caisson {

// What the caller can do about a failure.
enum class StatusCode : uint8_t {
  kOk,
  kInvalidArgument,  // fix the call
  kNotFound,         // ask for something that exists
  kCorrupt,          // restore a backup
  kUnsupported,      // valid, beyond this build
  kUnavailable,      // no such device here
  kOutOfMemory,      // free memory, or ask for less
  kIo,               // may be retried
  kDevice,           // the device failed; its context may be lost
  kCancelled,        // somebody asked for it
};

// "corrupt", "not found", ...: lower case, for messages.
std::string_view Name(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message);

  static Status Ok() { return Status(); }
  static Status InvalidArgument(std::string message);
  static Status NotFound(std::string message);
  static Status Corrupt(std::string message);
  static Status Unsupported(std::string message);
  static Status Unavailable(std::string message);
  static Status OutOfMemory(std::string message);
  static Status Io(std::string message);
  static Status DeviceError(std::string message);
  static Status Cancelled(std::string message);

  bool ok() const { return rep_ == nullptr; }
  StatusCode code() const { return rep_ ? rep_->code : StatusCode::kOk; }

  // Empty for OK. Valid as long as this Status or a copy of it.
  std::string_view message() const {
    return rep_ ? std::string_view(rep_->message) : std::string_view();
  }

  // "corrupt: model.pt: ..." or "ok".
  std::string ToString() const;

  // The same code with `context` and ": " before the message; OK stays OK.
  Status WithContext(std::string_view context) const;

 private:
  struct Rep {
    StatusCode code;
    std::string message;
  };
  std::shared_ptr<const Rep> rep_;  // null when OK
};

// A T, or the Status that says why there is none. Member names are those of
// std::expected, so that it can become an alias of it.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // REQUIRES: !status.ok().
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {
    assert(!std::get<1>(state_).ok());
  }

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // REQUIRES: has_value().
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }

  // OK when there is a value.
  Status status() const { return has_value() ? Status() : error(); }

  // REQUIRES: !has_value().
  const Status& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace caisson
