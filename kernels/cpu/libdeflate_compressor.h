// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libdeflate.h>

#include <memory>

namespace caisson::cpu {

struct FreeCompressor {
  void operator()(libdeflate_compressor* compressor) const {
    libdeflate_free_compressor(compressor);
  }
};

// Null: there is no memory for one.
using Compressor = std::unique_ptr<libdeflate_compressor, FreeCompressor>;

}  // namespace caisson::cpu
