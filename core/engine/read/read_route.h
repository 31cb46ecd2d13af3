// SPDX-License-Identifier: Apache-2.0
//
// Which way the bytes of an open file come: through the page cache if they are
// there, else past it, so that what others have there stays.
#pragma once

#include <map>
#include <memory>
#include <string_view>

#include "core/base/byte_source.h"
#include "core/io/direct_file.h"
#include "core/io/file.h"

namespace caisson {

class ReadRoute {
 public:
  // The source must outlive the route.
  ReadRoute(const ByteSource& source, bool may_be_direct);

  ReadRoute(const ReadRoute&) = delete;
  ReadRoute& operator=(const ReadRoute&) = delete;

  // Of a file that was not in the page cache when it was opened, nothing stays
  // there, neither the index nor the rest.
  ~ReadRoute();

  // The file with direct I/O; null to read through the source.
  const File* direct() const { return direct_; }

  // "direct", "page cache", "buffered" or "adapter": see LoadReport::io.
  std::string_view name() const { return name_; }

 private:
  const DirectFile* file_;  // null: the source is something else
  const File* direct_ = nullptr;
  std::string_view name_ = "adapter";
};

// The routes of all files that one call reads, each chosen when it is first
// asked for.
//
// Thread safety: one thread.
class ReadRoutes {
 public:
  explicit ReadRoutes(bool may_be_direct) : may_be_direct_(may_be_direct) {}

  // The source's adapter must outlive this.
  const ReadRoute& Of(const ByteSource& source) {
    std::unique_ptr<ReadRoute>& route = routes_[&source.adapter()];
    if (route == nullptr) {
      route = std::make_unique<ReadRoute>(source, may_be_direct_);
    }
    return *route;
  }

 private:
  const bool may_be_direct_;
  std::map<const ReadAdapter*, std::unique_ptr<ReadRoute>> routes_;
};

}  // namespace caisson
