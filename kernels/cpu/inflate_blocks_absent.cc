// SPDX-License-Identifier: Apache-2.0
#include "kernels/inflate_blocks.h"

namespace caisson {

bool CanInflateBlocks() { return false; }

Status InflateBlocks(const NextBlock&, std::span<std::byte>) {
  return Status::Unsupported("this build has no ISA-L");
}

}  // namespace caisson
