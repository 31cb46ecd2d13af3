// SPDX-License-Identifier: Apache-2.0
//
// Checks what a chunk says of itself before anything is decoded by it.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "caisson/crc32.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/plane_coder.h"
#include "kernels/plane/coded_part.h"

namespace caisson::cpu {
namespace {

class ChunkDecoder {
 public:
  ChunkDecoder(const PlaneDecodeJob& job, decltype(DecodePlanes) decode)
      : job_(job), chunk_(job.chunk), decode_(decode) {}

  PlaneFault Run() {
    if (!IsSound(chunk_)) return PlaneFault::kFields;
    PlaneVerdict verdict;
    if (chunk_.mode == PlaneMode::kR16) {
      verdict = DecodeR16();
    } else {
      verdict = Copy();
    }
    if (verdict.fault != PlaneFault::kNone) return verdict.fault;
    const size_t stored = size_t{chunk_.raw_bytes} + chunk_.coded_bytes;
    for (size_t i = stored; i < PlaneStoredBytes(chunk_); ++i) {
      if (job_.src[i] != std::byte{0}) return PlaneFault::kFiller;
    }
    return verdict.crc32 == chunk_.crc32 ? PlaneFault::kNone : PlaneFault::kCrc;
  }

 private:
  PlaneVerdict Copy() const {
    const size_t bytes = Bytes();
    if (chunk_.mode == PlaneMode::kRaw) {
      return {PlaneFault::kNone,
              Crc32Copy(0, std::span(job_.src, bytes), job_.dst)};
    }
    size_t done = chunk_.raw_bytes;
    std::memcpy(job_.dst, job_.src, done);
    while (done < bytes) {
      const size_t more = std::min(done, bytes - done);
      std::memcpy(job_.dst + done, job_.dst, more);
      done += more;
    }
    return {PlaneFault::kNone, Crc32(0, std::span(job_.dst, bytes))};
  }

  PlaneVerdict DecodeR16() const {
    plane::CodedHead head;
    const auto* const coded =
        reinterpret_cast<const uint8_t*>(job_.src) + chunk_.raw_bytes;
    const PlaneFault fault = plane::ParseHead(coded, chunk_, &head);
    if (fault != PlaneFault::kNone) return {fault, 0};
    return decode_({job_.src, chunk_, &head, job_.dst});
  }

  size_t Bytes() const {
    return size_t{chunk_.elems} * TraitsOf(chunk_.type).width;
  }

  const PlaneDecodeJob& job_;
  const PlaneChunk chunk_;  // a copy: the job's may lie in shared memory
  decltype(DecodePlanes)* const decode_;
};

}  // namespace

PlaneFault DecodeChunk(const PlaneDecodeJob& job,
                       decltype(DecodePlanes) decode) {
  return ChunkDecoder(job, decode).Run();
}

Status PlaneDecode(std::span<const PlaneDecodeJob> jobs, Workspace, Stream) {
  for (const PlaneDecodeJob& job : jobs) {
    *job.fault = DecodeChunk(job, DecodePlanes);
  }
  return Status::Ok();
}

size_t PlaneDecodeBytes(std::span<const PlaneDecodeJob>) { return 0; }

}  // namespace caisson::cpu
