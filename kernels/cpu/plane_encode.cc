// SPDX-License-Identifier: Apache-2.0
//
// Chooses the mode of each chunk, by a sample and by what came of it.
#include <algorithm>
#include <cstring>
#include <span>

#include "caisson/crc32.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/plane_coder.h"
#include "kernels/plane/checked_jobs.h"
#include "kernels/plane/elements.h"
#include "kernels/plane/plan.h"
#include "kernels/plane/type_switch.h"

namespace caisson::cpu {
namespace {

class ChunkEncoder {
 public:
  ChunkEncoder(const PlaneEncodeJob& job, std::byte* scratch,
               decltype(EncodePlanes) encode)
      : job_(job),
        bytes_(size_t{job.elems} * TraitsOf(job.type).width),
        scratch_(scratch),
        encode_(encode) {}

  void Run() {
    PlaneChunk chunk;
    // First of all: it brings the elements into L2 in the order that memory
    // gives them fastest, which the coder does not take them in.
    chunk.crc32 = Crc32(0, std::span(job_.src, bytes_));
    chunk.type = job_.type;
    chunk.shift = PlaneShift(job_.type);
    chunk.elems = job_.elems;
    const size_t width = TraitsOf(job_.type).width;
    if (AllEqual()) {
      chunk.mode = PlaneMode::kConst;
      chunk.raw_bytes = static_cast<uint32_t>(width);
    } else if (job_.elems < kPlaneLeastElems || !EncodeR16(&chunk)) {
      chunk.mode = PlaneMode::kRaw;
      chunk.flags = 0;
      chunk.coded_bytes = 0;
      chunk.raw_bytes = static_cast<uint32_t>(bytes_);
    }
    if (chunk.mode != PlaneMode::kR16) {
      std::memcpy(job_.dst, job_.src, chunk.raw_bytes);
    }
    const size_t stored = size_t{chunk.raw_bytes} + chunk.coded_bytes;
    std::memset(job_.dst + stored, 0, PlaneStoredBytes(chunk) - stored);
    *job_.chunk = chunk;
  }

 private:
  bool AllEqual() const {
    const size_t width = TraitsOf(job_.type).width;
    return std::memcmp(job_.src, job_.src + width, bytes_ - width) == 0;
  }

  bool EncodeR16(PlaneChunk* chunk) {
    plane::EncodePlan plan =
        plane::PlanChunk(job_.src, job_.type, job_.elems, chunk->shift);
    const auto room = static_cast<uint32_t>(plane::WorthBytes(bytes_));
    while (plan.worth) {
      const PlaneSource source = {job_.src, job_.type, job_.elems, chunk->shift,
                                  job_.dst, room,      scratch_};
      const PlaneResult result = encode_(source, plan);
      if (!result.has_symbols) return false;
      const uint8_t flags = ConstFlagsOf(result.differing);
      if (plan.flags & ~flags) {
        plane::Replan(plan.flags & flags, job_.type, job_.elems, &plan);
        continue;
      }
      if (result.coded_bytes == 0) return false;
      chunk->mode = PlaneMode::kR16;
      chunk->flags = plan.flags;
      chunk->raw_bytes = PlaneRawBytes(job_.type, plan.flags, job_.elems);
      chunk->coded_bytes = result.coded_bytes;
      return true;
    }
    return false;
  }

  uint8_t ConstFlagsOf(uint64_t differing) const {
    return plane::WithPlaneType(job_.type, [&](auto tag) {
      return plane::ConstFlags<decltype(tag)::kType>(differing);
    });
  }

  const PlaneEncodeJob& job_;
  const size_t bytes_;
  std::byte* const scratch_;
  decltype(EncodePlanes)* const encode_;
};

}  // namespace

void EncodeChunk(const PlaneEncodeJob& job, std::byte* scratch,
                 decltype(EncodePlanes) encode) {
  ChunkEncoder(job, scratch, encode).Run();
}

Status PlaneEncode(std::span<const PlaneEncodeJob> jobs, Workspace workspace,
                   Stream) {
  if (Status status = plane::CheckJobs(jobs); !status.ok()) return status;
  if (workspace.bytes < PlaneEncodeBytes(jobs)) {
    return plane::SmallWorkspace(workspace.bytes, PlaneEncodeBytes(jobs));
  }
  for (const PlaneEncodeJob& job : jobs) {
    EncodeChunk(job, workspace.data, EncodePlanes);
  }
  return Status::Ok();
}

size_t PlaneEncodeBytes(std::span<const PlaneEncodeJob> jobs) {
  size_t bytes = 0;
  for (const PlaneEncodeJob& job : jobs) {
    bytes = std::max(bytes, PlaneEncodeScratch(job.type, PlaneShift(job.type)));
  }
  return bytes;
}

}  // namespace caisson::cpu
