// SPDX-License-Identifier: Apache-2.0
//
// Encodes DEFLATE streams held whole in memory, by libdeflate, and chunks of
// streams: deflate_chunk.
#include <libdeflate.h>

#include <algorithm>
#include <string>

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/deflate_chunk.h"
#include "kernels/cpu/libdeflate_compressor.h"

namespace caisson::cpu {
// For a null compressor libdeflate gives the bound of every level.
size_t DeflateBound(size_t bytes) {
  return std::max(libdeflate_deflate_compress_bound(nullptr, bytes),
                  DeflateChunkBound(bytes));
}

Status Deflate(int level, std::span<const DeflateJob> jobs, Stream) {
  Compressor compressor;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const DeflateJob& job = jobs[i];
    if (!job.ends) {
      const Status chunk = DeflateChunk(level, job);
      if (!chunk.ok()) return chunk.WithContext("job " + std::to_string(i));
      continue;
    }
    if (compressor == nullptr) {
      compressor.reset(libdeflate_alloc_compressor(level));
    }
    if (compressor == nullptr) {
      return Status::OutOfMemory(
          "no memory for a deflate compressor of level " +
          std::to_string(level));
    }
    const std::byte none{};
    const std::byte* src = job.src.empty() ? &none : job.src.data();
    *job.stored = libdeflate_deflate_compress(
        compressor.get(), src, job.src.size(), job.dst.data(), job.dst.size());
    if (*job.stored == 0) {
      return Status::InvalidArgument(
          "job " + std::to_string(i) + ": deflate needs " +
          std::to_string(DeflateBound(job.src.size())) + " bytes, has " +
          std::to_string(job.dst.size()));
    }
  }
  return Status::Ok();
}

}  // namespace caisson::cpu
