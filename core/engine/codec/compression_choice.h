// SPDX-License-Identifier: Apache-2.0
//
// Chooses how each storage of a save is compressed.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "caisson/compression.h"
#include "caisson/dtype.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "caisson/tensor.h"
#include "core/formats/layout.h"
#include "kernels/kernel_table.h"

namespace caisson {

// kNone for what is no compression.
Compression CompressionOf(Encoding encoding);

// What a save is asked for.
struct CompressionWish {
  CompressMode compress = CompressMode::kNone;
  size_t threads = 1;  // that encode

  // Bytes a second that the disk writes; asked for by kAuto only, at most once.
  std::function<Result<double>()> disk_rate;
};

class CompressionChooser {
 public:
  // Both outlive this. REQUIRES: the wish is not kNone.
  CompressionChooser(const CompressionWish& wish, const State& state,
                     const KernelTable& kernels);

  // kRaw, kDeflate or kPlane, for a storage of elements of `dtype`.
  Encoding Choose(const Storage& storage, DType dtype);

  // What was chosen, or why it could not be.
  Result<CompressionReport> Take();

 private:
  // What a codec does with a sample.
  struct Sample {
    double ratio = 1;
    double rate = 0;  // bytes a second, on one thread
  };

  Result<Sample> Try(Encoding encoding, const Storage& storage, DType dtype);
  Result<Encoding> Find(const Storage& storage, DType dtype, double* ratio);
  Result<Encoding> Fastest(const Storage& storage, DType dtype, double* ratio);
  Status NeedDiskRate();

  const CompressionWish& wish_;
  const KernelTable& kernels_;
  std::unordered_map<const Storage*, std::string> names_;
  double disk_rate_ = 0;
  double plane_rate_ = 0;    // the best of the samples, one thread
  double deflate_rate_ = 0;  // the same
  uint64_t device_storages_ = 0;
  CompressionReport report_;
  Status failure_;
};

}  // namespace caisson
