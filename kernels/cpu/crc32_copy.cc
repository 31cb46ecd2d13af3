// SPDX-License-Identifier: Apache-2.0
#include <cassert>

#include "caisson/crc32.h"
#include "kernels/cpu/cpu_kernels.h"

namespace caisson {
namespace {

// REQUIRES: an `op` that keeps the width of `dtype`.
uint32_t CopyAs(Op op, DType dtype, uint32_t crc,
                std::span<const std::byte> src, std::byte* dst) {
  assert(src.size() % ByteWidth(dtype) == 0);
  uint32_t stored = 0;
  const Job job = {.src = src.data(),
                   .dst = dst,
                   .elems = src.size() / ByteWidth(dtype),
                   .crc = &stored};
  const Step step = {.op = op, .from = dtype, .to = dtype};
  const Status status = cpu::Transform(step, {&job, 1}, {}, {});
  assert(status.ok());  // nothing in such a job can be wrong
  (void)status;
  return Crc32Combine(crc, stored, src.size());
}

}  // namespace

uint32_t Crc32Copy(uint32_t crc, std::span<const std::byte> src,
                   std::byte* dst) {
  return CopyAs(Op::kCopy, DType::kUInt8, crc, src, dst);
}

uint32_t Crc32CopySwapped(uint32_t crc, std::span<const std::byte> src,
                          size_t width, std::byte* dst) {
  assert(width == 2 || width == 4 || width == 8);
  const DType dtype = width == 2   ? DType::kInt16
                      : width == 4 ? DType::kInt32
                                   : DType::kInt64;
  return CopyAs(Op::kByteSwap, dtype, crc, src, dst);
}

}  // namespace caisson
