// SPDX-License-Identifier: Apache-2.0
//
// Caffe2's own database: records one after the other, without a header, an
// index or a checksum. formats.md 5.6.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/caffe2/wire.h"

namespace caisson::caffe2 {

// i32 length of the key, i32 length of the value, little-endian; both follow.
inline constexpr size_t kMinidbHeaderBytes = 4 + 4;

struct DbRecord {
  std::string key;
  Extent value;
};

class MinidbWalk {
 public:
  // `source` must outlive it.
  explicit MinidbWalk(const ByteSource& source) : source_(source) {}

  // The next record, or none at the end. kCorrupt for a length that is not
  // positive or exceeds the file, and for a header that is cut off.
  Result<std::optional<DbRecord>> Next();

  uint64_t at() const { return at_; }

 private:
  const ByteSource& source_;
  uint64_t at_ = 0;
};

// What stands before a value of `value_bytes`. kInvalidArgument for a length
// that the format cannot say.
Result<std::string> MinidbPrefix(std::string_view key, uint64_t value_bytes);

}  // namespace caisson::caffe2
