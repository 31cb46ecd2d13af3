// SPDX-License-Identifier: Apache-2.0
#include "core/formats/zip/read_ahead.h"

#include <algorithm>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"

namespace caisson::zip {
namespace {

constexpr size_t kLeastBytes = size_t{4} << 10;
constexpr size_t kMostBytes = size_t{64} << 10;

}  // namespace

Result<std::span<const std::byte>> ReadAhead::Get(uint64_t offset, size_t bytes,
                                                  std::string_view what) {
  const uint64_t end = begin_ + buffer_.size();
  if (offset >= begin_ && FitsWithin(offset, bytes, end)) {
    return std::span<const std::byte>(buffer_).subspan(offset - begin_, bytes);
  }
  // What lies no further than the last read was long is walking, not jumping.
  const bool walks = offset >= begin_ && offset <= end + ahead_;
  ahead_ =
      walks ? std::clamp(2 * ahead_, kLeastBytes, kMostBytes) : kLeastBytes;
  const uint64_t left = source_.size() - std::min(offset, source_.size());
  buffer_.resize(std::max<uint64_t>(bytes, std::min<uint64_t>(ahead_, left)));
  begin_ = offset;
  if (const Status status = source_.ReadExact(offset, buffer_, what);
      !status.ok()) {
    buffer_.clear();
    return status;
  }
  return std::span<const std::byte>(buffer_).first(bytes);
}

}  // namespace caisson::zip
