// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/window.h"

#include <algorithm>

#include "core/base/status_macros.h"

namespace caisson {

Result<std::span<std::byte>> WindowCursor::Room(uint64_t wanted) {
  if (used_ == window_.size()) CAISSON_RETURN_IF_ERROR(Flush());
  const size_t left = window_.size() - used_;
  return window_.subspan(used_,
                         static_cast<size_t>(std::min<uint64_t>(left, wanted)));
}

Status WindowCursor::Put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    CAISSON_ASSIGN_OR_RETURN(const std::span<std::byte> room,
                             Room(bytes.size()));
    std::ranges::copy(bytes.first(room.size()), room.begin());
    Advance(room.size());
    bytes = bytes.subspan(room.size());
  }
  return Status::Ok();
}

Status WindowCursor::Skip(uint64_t bytes) {
  CAISSON_RETURN_IF_ERROR(Flush());
  base_ += bytes;
  return Status::Ok();
}

Status WindowCursor::Flush() {
  if (used_ == 0) return Status::Ok();
  CAISSON_RETURN_IF_ERROR(file_.WriteAt(base_, window_.first(used_)));
  base_ += used_;
  used_ = 0;
  return Status::Ok();
}

}  // namespace caisson
