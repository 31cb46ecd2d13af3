// SPDX-License-Identifier: Apache-2.0
//
// The entries of KernelTable that no device has, for tables that stand for one.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/dtype.h"
#include "caisson/status.h"
#include "kernels/kernel_table.h"

namespace caisson {

inline Status NoInflate(std::span<const InflateJob>, Stream) {
  return Status::Unsupported("no CUDA kernel decodes DEFLATE");
}
inline Status NoDeflate(int, std::span<const DeflateJob>, Stream) {
  return Status::Unsupported("no CUDA kernel encodes DEFLATE");
}
inline size_t NoDeflateBound(size_t) { return 0; }
inline Status NoEncodeVarints(DType, std::span<const VarintEncodeJob>, Stream) {
  return Status::Unsupported("no CUDA kernel encodes varints");
}
inline Status NoDecodeVarints(DType, std::span<const VarintDecodeJob>, Stream) {
  return Status::Unsupported("no CUDA kernel decodes varints");
}

}  // namespace caisson
