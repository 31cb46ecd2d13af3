// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/wire.h"

#include <algorithm>
#include <span>

#include "core/base/status_macros.h"

namespace caisson::caffe2 {
namespace {

constexpr int kMaxVarintBytes = 10;

}  // namespace

Result<uint8_t> WireReader::Byte() {
  if (at_ == end_) return Corrupt("the message ends within a field");
  if (at_ < block_at_ || at_ >= block_at_ + block_bytes_) {
    block_at_ = at_;
    block_bytes_ = std::min<uint64_t>(block_.size(), end_ - at_);
    CAISSON_RETURN_IF_ERROR(
        source_.ReadExact(at_, std::span(block_).first(block_bytes_), what_));
  }
  return static_cast<uint8_t>(block_[at_++ - block_at_]);
}

Result<uint64_t> WireReader::Varint() {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    CAISSON_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
    value |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return value;
  }
  return Corrupt("a varint of more than 10 bytes");
}

Result<Tag> WireReader::Next() {
  CAISSON_ASSIGN_OR_RETURN(const uint64_t tag, Varint());
  const uint64_t type = tag & 7;
  if (tag >> 3 == 0 || tag > UINT32_MAX || type > 5) {
    return Corrupt("no field: tag " + std::to_string(tag));
  }
  return Tag{static_cast<uint32_t>(tag >> 3), static_cast<WireType>(type)};
}

Result<Extent> WireReader::Bytes() {
  CAISSON_ASSIGN_OR_RETURN(const uint64_t bytes, Varint());
  if (bytes > end_ - at_) {
    return Corrupt("a field of " + std::to_string(bytes) + " bytes, " +
                   std::to_string(end_ - at_) + " are left");
  }
  const Extent extent = {at_, bytes};
  at_ += bytes;
  return extent;
}

Result<std::string> WireReader::Text(size_t most) {
  CAISSON_ASSIGN_OR_RETURN(const Extent extent, Bytes());
  if (extent.bytes > most) {
    return Corrupt("a text of " + std::to_string(extent.bytes) +
                   " bytes, at most " + std::to_string(most) + " are read");
  }
  std::string text(extent.bytes, '\0');
  CAISSON_RETURN_IF_ERROR(source_.ReadExact(
      extent.offset, std::as_writable_bytes(std::span(text)), what_));
  return text;
}

Status WireReader::Skip(WireType type) {
  switch (type) {
    case WireType::kVarint:
      return Varint().status();
    case WireType::kBytes:
      return Bytes().status();
    case WireType::kFixed32:
    case WireType::kFixed64: {
      const uint64_t bytes = type == WireType::kFixed32 ? 4 : 8;
      if (bytes > end_ - at_) return Corrupt("the message ends within a field");
      at_ += bytes;
      return Status::Ok();
    }
    default:
      return Status::Unsupported(source_.name() + ": " + std::string(what_) +
                                 " at " + std::to_string(at_) +
                                 ": a group, which proto2 has given up");
  }
}

void PutVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) {
    *out += static_cast<char>(value | 0x80);
  }
  *out += static_cast<char>(value);
}

void PutTag(uint32_t field, WireType type, std::string* out) {
  PutVarint(uint64_t{field} << 3 | static_cast<uint64_t>(type), out);
}

void PutInt(uint32_t field, int64_t value, std::string* out) {
  PutTag(field, WireType::kVarint, out);
  PutVarint(static_cast<uint64_t>(value), out);
}

void PutBytes(uint32_t field, std::string_view bytes, std::string* out) {
  PutTag(field, WireType::kBytes, out);
  PutVarint(bytes.size(), out);
  out->append(bytes);
}

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

}  // namespace caisson::caffe2
