// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/read_route.h"

#include <cstddef>

namespace caisson {
namespace {

// From this share in the page cache on, reading through it is faster.
constexpr double kWarm = 0.5;

// Some file systems take the flag and refuse the transfer.
bool Works(const File* direct) {
  alignas(kDirectAlignment) std::byte block[kDirectAlignment];
  return direct != nullptr && direct->ReadUpTo(0, block).has_value();
}

}  // namespace

ReadRoute::ReadRoute(const ByteSource& source, bool may_be_direct)
    : file_(dynamic_cast<const DirectFile*>(&source.adapter())) {
  if (file_ == nullptr) return;
  if (file_->CachedShare() >= kWarm) {
    name_ = "page cache";
    return;
  }
  name_ = "buffered";
  // Windows are aligned in the source, which must begin where the file does.
  if (!may_be_direct || source.start() != 0 || !Works(file_->direct())) return;
  name_ = "direct";
  direct_ = file_->direct();
}

ReadRoute::~ReadRoute() {
  if (file_ != nullptr && file_->cached_at_open() == 0) file_->DropCache();
}

}  // namespace caisson
