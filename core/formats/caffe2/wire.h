// SPDX-License-Identifier: Apache-2.0
//
// Walks protobuf's wire format in a file without holding it: tags and varints
// are read, what is long is passed over. protobuf.dev, "Encoding".
//
// Thread safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::caffe2 {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

// A field's number and how its value is stored.
struct Tag {
  uint32_t field = 0;
  WireType type = WireType::kVarint;
};

// Bytes of the file.
struct Extent {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class WireReader {
 public:
  // The bytes of `extent`, which must lie in `source`; `what` names it in
  // messages, and must outlive this, as `source` must.
  WireReader(const ByteSource& source, Extent extent, std::string_view what)
      : source_(source),
        at_(extent.offset),
        end_(extent.offset + extent.bytes),
        what_(what) {}

  bool done() const { return at_ == end_; }
  uint64_t at() const { return at_; }

  // kCorrupt, naming the offset, for what does not fit into the extent, a
  // varint of more than 10 bytes, a field number of 0 or a wire type that does
  // not exist.
  Result<uint64_t> Varint();
  Result<Tag> Next();
  Result<Extent> Bytes();                 // behind their length; passed over
  Result<std::string> Text(size_t most);  // the same, read
  Status Skip(WireType type);             // a value; kUnsupported for a group

  Status Corrupt(std::string_view problem) const {
    return source_.Corrupt(at_, what_, problem);
  }

 private:
  Result<uint8_t> Byte();

  const ByteSource& source_;
  uint64_t at_;
  const uint64_t end_;
  const std::string_view what_;
  std::array<std::byte, 512> block_{};
  uint64_t block_at_ = 0;
  size_t block_bytes_ = 0;
};

// Appends a varint, a tag, or a tag with a value.
void PutVarint(uint64_t value, std::string* out);
void PutTag(uint32_t field, WireType type, std::string* out);
void PutInt(uint32_t field, int64_t value, std::string* out);
void PutBytes(uint32_t field, std::string_view bytes, std::string* out);

// How many bytes PutVarint() adds.
size_t VarintBytes(uint64_t value);

}  // namespace caisson::caffe2
