// SPDX-License-Identifier: Apache-2.0
//
// The files that the pieces of a storage lie in.
#pragma once

#include <span>

#include "core/base/byte_source.h"
#include "core/formats/layout.h"

namespace caisson {

// Refers to what it is made of, which must outlive it.
class Sources {
 public:
  // All pieces lie in `only`, whatever number they have for it.
  Sources(const ByteSource& only) : first_(only) {}

  // `first` is Layout::sources[0], `others` are the rest.
  Sources(const ByteSource& first, std::span<const ByteSource> others)
      : first_(first), others_(others) {}

  const ByteSource& Of(const Piece& piece) const {
    const bool other = piece.source > 0 && !others_.empty();
    return other ? others_[piece.source - 1] : first_;
  }

 private:
  const ByteSource& first_;
  const std::span<const ByteSource> others_;
};

}  // namespace caisson
