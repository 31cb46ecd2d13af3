// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plane_lanes.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "caisson/crc32.h"
#include "kernels/cuda/plane_decode.h"
#include "kernels/cuda/plane_encode.h"
#include "kernels/plane/checked_jobs.h"
#include "kernels/plane/type_switch.h"

namespace caisson {
namespace {

using namespace cuda;

struct HostWarp {
  template <typename T>
  struct Var {
    T values[plane::kLanes];
    T& operator[](uint32_t lane) { return values[lane]; }
    const T& operator[](uint32_t lane) const { return values[lane]; }
  };

  template <typename Fn>
  void ForLanes(const Fn& fn) const {
    for (uint32_t lane = 0; lane < plane::kLanes; ++lane) fn(lane);
  }
  uint32_t Ballot(const Var<bool>& var) const {
    uint32_t bits = 0;
    for (uint32_t lane = 0; lane < plane::kLanes; ++lane) {
      bits |= uint32_t{var[lane]} << lane;
    }
    return bits;
  }
};

// Threads and warps go backwards: between two Sync() any order will do.
struct HostBlock {
  using Warp = HostWarp;

  template <typename Fn>
  void ForThreads(const Fn& fn) const {
    for (uint32_t thread = kPlaneThreads; thread-- > 0;) fn(thread);
  }
  template <typename Fn>
  void ForWarps(const Fn& fn) const {
    for (uint32_t warp = kPlaneThreads / plane::kLanes; warp-- > 0;) {
      fn(warp, HostWarp());
    }
  }
  void Sync() const {}
  void Add(uint32_t* to, uint32_t value) const { *to += value; }
  void Or(uint32_t* to, uint32_t value) const { *to |= value; }
  template <typename Fn>
  static void WithType(PlaneType type, const Fn& fn) {
    plane::WithPlaneType(type, fn);
  }
};

std::span<const std::byte> Elems(const std::byte* at, PlaneType type,
                                 uint32_t elems) {
  return {at, size_t{elems} * TraitsOf(type).width};
}

}  // namespace

Status EncodePlanesByLanes(std::span<const PlaneEncodeJob> jobs) {
  if (Status status = plane::CheckJobs(jobs); !status.ok()) return status;
  const auto shared = std::make_unique<PlaneEncodeShared>();
  for (const PlaneEncodeJob& job : jobs) {
    const PlaneEncodeTask task = {reinterpret_cast<const uint8_t*>(job.src),
                                  reinterpret_cast<uint8_t*>(job.dst),
                                  job.chunk,
                                  job.type,
                                  PlaneShift(job.type),
                                  job.elems};
    std::vector<uint8_t> scratch(ChunkScratch(task.shift));
    EncodeTask(HostBlock(), task, scratch.data(), *shared);
    job.chunk->crc32 = Crc32(0, Elems(job.src, job.type, job.elems));
  }
  return Status::Ok();
}

Status DecodePlanesByLanes(std::span<const PlaneDecodeJob> jobs) {
  const auto shared = std::make_unique<PlaneDecodeShared>();
  for (const PlaneDecodeJob& job : jobs) {
    const PlaneDecodeTask task = {reinterpret_cast<const uint8_t*>(job.src),
                                  reinterpret_cast<uint8_t*>(job.dst),
                                  job.fault, job.chunk, IsSound(job.chunk)};
    DecodeTask(HostBlock(), task, *shared);
    if (*job.fault == PlaneFault::kNone &&
        Crc32(0, Elems(job.dst, job.chunk.type, job.chunk.elems)) !=
            job.chunk.crc32) {
      *job.fault = PlaneFault::kCrc;
    }
  }
  return Status::Ok();
}

}  // namespace caisson
