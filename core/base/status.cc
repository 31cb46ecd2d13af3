// SPDX-License-Identifier: Apache-2.0
#include "caisson/status.h"

namespace caisson {

std::string_view Name(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalidArgument:
      return "invalid argument";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kCorrupt:
      return "corrupt";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kUnavailable:
      return "unavailable";
    case StatusCode::kOutOfMemory:
      return "out of memory";
    case StatusCode::kIo:
      return "i/o error";
    case StatusCode::kDevice:
      return "device error";
    case StatusCode::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

Status::Status(StatusCode code, std::string message) {
  if (code != StatusCode::kOk) {
    rep_ = std::make_shared<const Rep>(Rep{code, std::move(message)});
  }
}

Status Status::InvalidArgument(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}
Status Status::NotFound(std::string message) {
  return Status(StatusCode::kNotFound, std::move(message));
}
Status Status::Corrupt(std::string message) {
  return Status(StatusCode::kCorrupt, std::move(message));
}
Status Status::Unsupported(std::string message) {
  return Status(StatusCode::kUnsupported, std::move(message));
}
Status Status::Unavailable(std::string message) {
  return Status(StatusCode::kUnavailable, std::move(message));
}
Status Status::OutOfMemory(std::string message) {
  return Status(StatusCode::kOutOfMemory, std::move(message));
}
Status Status::Io(std::string message) {
  return Status(StatusCode::kIo, std::move(message));
}
Status Status::DeviceError(std::string message) {
  return Status(StatusCode::kDevice, std::move(message));
}
Status Status::Cancelled(std::string message) {
  return Status(StatusCode::kCancelled, std::move(message));
}

std::string Status::ToString() const {
  std::string text(Name(code()));
  if (!ok()) text.append(": ").append(message());
  return text;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return Status(code(), std::string(context) + ": " + rep_->message);
}

}  // namespace caisson
