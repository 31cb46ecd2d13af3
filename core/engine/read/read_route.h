// SPDX-License-Identifier: Apache-2.0
//
// Which way the bytes of an open file come: through the page cache if they are
// there, else past it, so that what others have there stays.
#pragma once

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

}  // namespace caisson
