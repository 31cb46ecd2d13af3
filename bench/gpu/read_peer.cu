// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu/read_peer.h"
#include "core/device/cuda_native.h"

namespace caisson::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 132 * 8;
constexpr int kInFlight = 8;

__global__ void __launch_bounds__(kThreads)
    ReadKernel(const uint4* src, size_t count, uint32_t* sum) {
  const size_t stride = size_t{gridDim.x} * kThreads;
  size_t i = size_t{blockIdx.x} * kThreads + threadIdx.x;
  uint32_t own = 0;
  for (; i + (kInFlight - 1) * stride < count; i += kInFlight * stride) {
    uint4 read[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) read[k] = src[i + k * stride];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) {
      own ^= read[k].x ^ read[k].y ^ read[k].z ^ read[k].w;
    }
  }
  for (; i < count; i += stride) {
    const uint4 read = src[i];
    own ^= read.x ^ read.y ^ read.z ^ read.w;
  }
  if (own != 0) atomicXor(sum, own);
}

}  // namespace

Status ReadAll(const std::byte* src, size_t bytes, uint32_t* sum,
               Stream stream) {
  ReadKernel<<<kBlocks, kThreads, 0, cuda::Native(stream)>>>(
      reinterpret_cast<const uint4*>(src), bytes / sizeof(uint4), sum);
  return cuda::FromCuda(cudaGetLastError(), "start the reading kernel");
}

}  // namespace caisson::bench
