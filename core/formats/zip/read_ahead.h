// SPDX-License-Identifier: Apache-2.0
//
// Gives a parser small runs of a source through one buffer: reads are large
// where the parser walks on from where it was, and small where it jumps. So
// 100 000 records of a few bytes cost few reads, and a thousand huge ones
// read little besides their headers.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::zip {

class ReadAhead {
 public:
  // `source` must outlive it.
  explicit ReadAhead(const ByteSource& source) : source_(source) {}

  // The bytes [offset, offset + bytes), valid until the next call. kCorrupt,
  // naming `what`, if the source ends before; kIo.
  Result<std::span<const std::byte>> Get(uint64_t offset, size_t bytes,
                                         std::string_view what);

  const ByteSource& source() const { return source_; }

 private:
  const ByteSource& source_;
  std::vector<std::byte> buffer_;  // the source's bytes from begin_
  uint64_t begin_ = 0;
  size_t ahead_ = 0;  // bytes of the last read
};

}  // namespace caisson::zip
