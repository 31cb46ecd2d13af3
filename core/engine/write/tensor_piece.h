// SPDX-License-Identifier: Apache-2.0
//
// How a piece of a tensor goes from memory into a file.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstddef>

#include "caisson/status.h"
#include "core/formats/format.h"
#include "kernels/kernel_table.h"

namespace caisson {

// No element is larger.
inline constexpr size_t kMaxElemBytes = 16;

struct PieceStep {
  Step step;
  size_t unit = 1;  // bytes that must be moved together
};

// REQUIRES: the piece is raw.
PieceStep StepOf(const TensorPiece& piece);

// kUnsupported for an encoding that this build cannot produce;
// kInvalidArgument for a storage that is not in memory, of the host or of a
// device.
Status CheckWritable(const TensorPiece& piece);

// kUnavailable for a storage that is not in memory of the host.
Status CheckOnHost(const TensorPiece& piece);

}  // namespace caisson
