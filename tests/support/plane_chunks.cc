// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plane_chunks.h"

#include <cstdlib>

#include "kernels/cpu/plane_coder.h"

namespace caisson {
namespace {

void Require(bool good) {
  if (!good) std::abort();
}

}  // namespace

EncodedChunk EncodeChunk(const KernelTable* kernels,
                         std::span<const std::byte> src, PlaneType type) {
  EncodedChunk encoded;
  PlaneEncodeJob job;
  job.src = src.data();
  job.type = type;
  job.elems = static_cast<uint32_t>(src.size() / TraitsOf(type).width);
  encoded.bytes.resize(PlaneBound(type, job.elems));
  job.dst = encoded.bytes.data();
  job.chunk = &encoded.chunk;
  if (kernels == nullptr) {
    cpu::EncodeChunk(job, nullptr, cpu::EncodePlanesPlainly);
  } else {
    std::vector<std::byte> scratch(kernels->plane_encode_bytes({&job, 1}));
    Require(
        kernels->plane_encode({&job, 1}, {scratch.data(), scratch.size()}, {})
            .ok());
  }
  Require(PlaneStoredBytes(encoded.chunk) <= encoded.bytes.size());
  encoded.bytes.resize(PlaneStoredBytes(encoded.chunk));
  return encoded;
}

PlaneFault DecodeChunk(const KernelTable* kernels, const PlaneChunk& chunk,
                       std::span<const std::byte> bytes,
                       std::span<std::byte> dst) {
  PlaneFault fault = PlaneFault::kFields;
  PlaneDecodeJob job;
  job.src = bytes.data();
  job.chunk = chunk;
  job.dst = dst.data();
  job.fault = &fault;
  if (IsSound(chunk)) {
    Require(bytes.size() == PlaneStoredBytes(chunk));
    Require(dst.size() == ElemBytes(chunk));
  }
  if (kernels == nullptr) {
    return cpu::DecodeChunk(job, cpu::DecodePlanesPlainly);
  }
  std::vector<std::byte> scratch(kernels->plane_decode_bytes({&job, 1}));
  Require(kernels->plane_decode({&job, 1}, {scratch.data(), scratch.size()}, {})
              .ok());
  return fault;
}

}  // namespace caisson
