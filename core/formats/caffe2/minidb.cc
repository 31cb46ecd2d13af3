// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/minidb.h"

#include <array>
#include <climits>
#include <span>
#include <utility>

#include "core/base/endian.h"
#include "core/base/status_macros.h"

namespace caisson::caffe2 {

Result<std::optional<DbRecord>> MinidbWalk::Next() {
  if (at_ == source_.size()) return std::optional<DbRecord>();
  std::array<std::byte, kMinidbHeaderBytes> header;
  CAISSON_RETURN_IF_ERROR(source_.ReadExact(at_, header, "minidb record"));
  const auto key_bytes =
      static_cast<int32_t>(LoadLittle<uint32_t>(header.data()));
  const auto value_bytes =
      static_cast<int32_t>(LoadLittle<uint32_t>(header.data() + 4));
  const uint64_t left = source_.size() - at_ - header.size();
  const auto bad = [&](const char* what, int32_t bytes) {
    return source_.Corrupt(at_, "minidb record",
                           std::string("a ") + what + " of " +
                               std::to_string(bytes) + " bytes, " +
                               std::to_string(left) + " are left");
  };
  if (key_bytes <= 0 || static_cast<uint32_t>(key_bytes) > left) {
    return bad("key", key_bytes);
  }
  if (value_bytes <= 0 ||
      static_cast<uint32_t>(value_bytes) > left - key_bytes) {
    return bad("value", value_bytes);
  }
  DbRecord record;
  record.key.resize(static_cast<size_t>(key_bytes));
  CAISSON_RETURN_IF_ERROR(source_.ReadExact(
      at_ + header.size(), std::as_writable_bytes(std::span(record.key)),
      "minidb key"));
  record.value = {at_ + header.size() + record.key.size(),
                  static_cast<uint64_t>(value_bytes)};
  at_ = record.value.offset + record.value.bytes;
  return std::optional(std::move(record));
}

Result<std::string> MinidbPrefix(std::string_view key, uint64_t value_bytes) {
  if (key.empty() || key.size() > INT32_MAX || value_bytes == 0 ||
      value_bytes > INT32_MAX) {
    return Status::InvalidArgument(
        "minidb: a key of " + std::to_string(key.size()) +
        " bytes and a value of " + std::to_string(value_bytes) +
        ", expected 1 to 2^31 - 1 each");
  }
  std::string prefix(kMinidbHeaderBytes, '\0');
  StoreLittle<uint32_t>(static_cast<uint32_t>(key.size()), prefix.data());
  StoreLittle<uint32_t>(static_cast<uint32_t>(value_bytes), prefix.data() + 4);
  return prefix.append(key);
}

}  // namespace caisson::caffe2
