// SPDX-License-Identifier: Apache-2.0
//
// Many small jobs in one call. The bytes in the name are those of a job; items
// are jobs. Jobs lie 64 bytes apart or more, as the records of an archive do.
#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/buffers.h"
#include "bench/contest.h"
#include "bench/verbs.h"
#include "kernels/kernel_table.h"

namespace caisson::bench {
namespace {

constexpr size_t kJobs = 10000;
constexpr size_t kAlignment = 64;

std::vector<Job> Jobs(size_t bytes, uint32_t* crcs) {
  const size_t step = std::max(bytes, kAlignment);
  const std::byte* const src = Source(DType::kUInt8, kJobs * step);
  std::byte* const dst = Destination(kJobs * step);
  std::vector<Job> jobs(kJobs);
  for (size_t i = 0; i < kJobs; ++i) {
    jobs[i].src = src + i * step;
    jobs[i].dst = dst + i * step;
    jobs[i].elems = bytes;
    jobs[i].crc = crcs != nullptr ? crcs + i : nullptr;
  }
  return jobs;
}

void CountJobs(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kJobs));
}

Body InOneCall(size_t bytes, bool with_crc) {
  return [=](benchmark::State& state) {
    const Result<const KernelTable*> kernels = KernelsFor(Device::Cpu());
    if (!kernels.has_value()) return Fail(state, kernels.error());
    std::vector<uint32_t> crcs(kJobs);
    const std::vector<Job> jobs = Jobs(bytes, with_crc ? crcs.data() : nullptr);
    if (Measure(state, kJobs * bytes,
                [&] { return (*kernels)->transform({}, jobs, {}, {}); })) {
      CountJobs(state);
    }
  };
}

Body InALoop(size_t bytes, bool with_crc) {
  return [=](benchmark::State& state) {
    std::vector<uint32_t> crcs(kJobs);
    const std::vector<Job> jobs = Jobs(bytes, with_crc ? crcs.data() : nullptr);
    Measure(state, kJobs * bytes, [&] {
      for (const Job& job : jobs) {
        std::memcpy(job.dst, job.src, job.elems);
        if (job.crc != nullptr) {
          *job.crc = libdeflate_crc32(0, job.dst, job.elems);
        }
      }
      return Status::Ok();
    });
    CountJobs(state);
  };
}

}  // namespace

void RegisterBatch() {
  for (const size_t bytes : {size_t{16}, size_t{256}}) {
    RegisterContest("small_batch_copy", bytes, InOneCall(bytes, false),
                    {{"memcpy", InALoop(bytes, false)}});
    RegisterContest("small_batch_copy_crc32", bytes, InOneCall(bytes, true),
                    {{"memcpy-libdeflate", InALoop(bytes, true)}});
  }
}

}  // namespace caisson::bench
