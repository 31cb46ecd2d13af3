// SPDX-License-Identifier: Apache-2.0
#include "core/base/byte_source.h"

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"

namespace caisson {

Status ByteSource::ReadExact(uint64_t offset, std::span<std::byte> dst,
                             std::string_view what) const {
  if (!FitsWithin(offset, dst.size(), size_)) {
    return Corrupt(offset, what,
                   "needs " + std::to_string(dst.size()) +
                       " bytes, the file has " + std::to_string(size_));
  }
  while (!dst.empty()) {
    CAISSON_ASSIGN_OR_RETURN(const size_t got,
                             adapter_->Read(start_ + offset, dst));
    if (got == 0) return Corrupt(offset, what, "the file ended early");
    if (got > dst.size()) {
      return Status::Io(name() + ": the adapter returned " +
                        std::to_string(got) + " bytes, asked for " +
                        std::to_string(dst.size()));
    }
    offset += got;
    dst = dst.subspan(got);
  }
  return Status::Ok();
}

Status ByteSource::Corrupt(uint64_t offset, std::string_view what,
                           std::string_view problem) const {
  std::string message = name();
  message.append(": ").append(what).append(" at ");
  message.append(std::to_string(offset)).append(": ").append(problem);
  return Status::Corrupt(std::move(message));
}

}  // namespace caisson
