// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "caisson/adapter.h"

namespace caisson {

// The bytes [offset, offset + bytes) of `whole`: a file that lies in another.
//
// REQUIRES: they are within it.
class PartAdapter final : public ReadAdapter {
 public:
  PartAdapter(std::shared_ptr<const ReadAdapter> whole, uint64_t offset,
              uint64_t bytes)
      : whole_(std::move(whole)),
        name_(whole_->name() + ", archive at " + std::to_string(offset)),
        offset_(offset),
        bytes_(bytes) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_; }
  Result<size_t> Read(uint64_t offset,
                      std::span<std::byte> dst) const override {
    if (offset >= bytes_) return size_t{0};
    const size_t bytes = std::min<uint64_t>(dst.size(), bytes_ - offset);
    return whole_->Read(offset_ + offset, dst.first(bytes));
  }

 private:
  const std::shared_ptr<const ReadAdapter> whole_;
  const std::string name_;
  const uint64_t offset_;
  const uint64_t bytes_;
};

}  // namespace caisson
