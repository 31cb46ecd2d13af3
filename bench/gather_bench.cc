// SPDX-License-Identifier: Apache-2.0
//
// Strided views of 4-byte elements, written densely; the roof is memcpy of as
// many bytes.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/verbs.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

constexpr size_t kWidth = 4;

struct Matrix {
  std::array<int64_t, 2> shape;
  std::array<int64_t, 2> strides;  // in elements
  size_t src_bytes;                // from the first element to the last
};

// A square matrix that is read column by column.
Matrix Transposed(size_t bytes) {
  const auto side =
      static_cast<int64_t>(std::sqrt(static_cast<double>(bytes / kWidth)));
  return {.shape = {side, side}, .strides = {1, side}, .src_bytes = bytes};
}

// The first 256 of the 320 elements of each row.
Matrix LongRows(size_t bytes) {
  constexpr int64_t kRow = 256;
  const auto rows = static_cast<int64_t>(bytes / kWidth) / kRow;
  return {.shape = {rows, kRow},
          .strides = {kRow + kRow / 4, 1},
          .src_bytes = bytes + bytes / 4};
}

Body Gathered(const Matrix& matrix, size_t bytes) {
  return [=](benchmark::State& state) {
    const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
    if (!kernels.has_value()) return Fail(state, kernels.error());
    const Step step = {.from = DType::kInt32, .to = DType::kInt32};
    const Strides view = {matrix.shape, matrix.strides};
    const Job job = {.src = Source(DType::kUInt8, matrix.src_bytes),
                     .dst = Destination(bytes),
                     .elems = bytes / kWidth,
                     .view = &view};
    Measure(state, bytes, [&] {
      return (*kernels)->transform(step, {&job, 1}, {}, {});
    });
  };
}

Body Memcpy(size_t bytes) {
  return [=](benchmark::State& state) {
    const std::byte* const src = Source(DType::kUInt8, bytes);
    std::byte* const dst = Destination(bytes);
    Measure(state, bytes, [&] {
      std::memcpy(dst, src, bytes);
      return Status::Ok();
    });
  };
}

}  // namespace

void RegisterGather() {
  for (const size_t bytes : kSizes) {
    RegisterContest("gather_transpose4", bytes,
                    Gathered(Transposed(bytes), bytes),
                    {{"memcpy", Memcpy(bytes)}});
    RegisterContest("gather_rows4", bytes, Gathered(LongRows(bytes), bytes),
                    {{"memcpy", Memcpy(bytes)}});
  }
}

}  // namespace caisson::bench
