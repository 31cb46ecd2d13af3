// SPDX-License-Identifier: Apache-2.0
//
// libdeflate ends a chunk only by ending the stream, which is opened again.
#include <libdeflate.h>

#include <string>

#include "kernels/cpu/deflate_chunk.h"
#include "kernels/cpu/deflate_join.h"
#include "kernels/cpu/libdeflate_compressor.h"

namespace caisson::cpu {
size_t DeflateChunkBound(size_t bytes) {
  return libdeflate_deflate_compress_bound(nullptr, bytes) + kOpenBytes;
}

Status DeflateChunk(int level, const DeflateJob& job) {
  const Compressor compressor(libdeflate_alloc_compressor(level));
  if (compressor == nullptr) {
    return Status::OutOfMemory("no memory for a deflate compressor");
  }
  const size_t room =
      job.dst.size() < kOpenBytes ? 0 : job.dst.size() - kOpenBytes;
  const size_t bytes = libdeflate_deflate_compress(
      compressor.get(), job.src.data(), job.src.size(), job.dst.data(), room);
  *job.stored = bytes == 0 ? 0 : OpenStream(job.dst, bytes);
  if (*job.stored == 0) {
    return Status::InvalidArgument(
        "deflate needs " + std::to_string(DeflateChunkBound(job.src.size())) +
        " bytes, has " + std::to_string(job.dst.size()));
  }
  return Status::Ok();
}

}  // namespace caisson::cpu
