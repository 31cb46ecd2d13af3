// SPDX-License-Identifier: Apache-2.0
//
// What must hold of a checkpoint's metadata before a byte is read.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "caisson/status.h"
#include "core/formats/dcp/checkpoint.h"

namespace caisson::dcp {

// Whether `name` is one that a file of a folder may have: no path, no `..`.
bool IsPlainName(std::string_view name);

// kCorrupt unless `name` is plain.
Status CheckFileName(std::string_view name);

// Checks many tensors within a bounded time.
class CoverCheck {
 public:
  // That the chunks of `item`, a tensor, lie within it and cover each of its
  // elements once.
  //
  // Errors: kCorrupt, naming it; kUnsupported for a layout that is cut in more
  // ways than anybody saves.
  Status Check(const Item& item);

 private:
  Status CheckInside(const Item& item) const;
  Status CheckCells(const Item& item);

  uint64_t cells_left_ = uint64_t{1} << 27;  // of all tensors
};

}  // namespace caisson::dcp
