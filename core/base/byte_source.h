// SPDX-License-Identifier: Apache-2.0
//
// A window on a ReadAdapter from a start offset to its end, with reads that
// are exact or fail. Parsers see only this; offset 0 is where the caller's
// format begins, which is how a file embedded in another is read.
//
// Thread safety: const methods may run on many threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "caisson/adapter.h"
#include "caisson/status.h"

namespace caisson {

class ByteSource {
 public:
  // REQUIRES: start <= adapter->size().
  explicit ByteSource(std::shared_ptr<const ReadAdapter> adapter,
                      uint64_t start = 0)
      : adapter_(std::move(adapter)),
        start_(start),
        size_(adapter_->size() - start) {}

  const std::string& name() const { return adapter_->name(); }
  uint64_t size() const { return size_; }

  // Where it begins within the adapter.
  uint64_t start() const { return start_; }
  const ReadAdapter& adapter() const { return *adapter_; }

  // Fills dst from `offset`. kCorrupt, naming `what`, if the source ends
  // before.
  Status ReadExact(uint64_t offset, std::span<std::byte> dst,
                   std::string_view what) const;

  // kCorrupt with the message "<name>: <what> at <offset>: <problem>".
  Status Corrupt(uint64_t offset, std::string_view what,
                 std::string_view problem) const;

 private:
  std::shared_ptr<const ReadAdapter> adapter_;
  uint64_t start_;
  uint64_t size_;
};

}  // namespace caisson
