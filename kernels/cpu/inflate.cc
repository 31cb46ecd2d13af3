// SPDX-License-Identifier: Apache-2.0
//
// DEFLATE streams held whole in memory, by libdeflate.
#include <libdeflate.h>

#include <memory>
#include <string>

#include "kernels/cpu/cpu_kernels.h"

namespace caisson::cpu {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};

std::string Bytes(size_t bytes) { return std::to_string(bytes) + " bytes"; }

Status InflateOne(libdeflate_decompressor* decompressor,
                  const InflateJob& job) {
  // libdeflate computes with both pointers, also where there are no bytes.
  std::byte none{};
  const std::byte* src = job.src.empty() ? &none : job.src.data();
  std::byte* dst = job.dst.empty() ? &none : job.dst.data();
  size_t read = 0;
  size_t written = 0;
  const libdeflate_result result = libdeflate_deflate_decompress_ex(
      decompressor, src, job.src.size(), dst, job.dst.size(), &read, &written);

  if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
    return Status::Corrupt("deflate stream: expected " + Bytes(job.dst.size()) +
                           ", found more");
  }
  if (result != LIBDEFLATE_SUCCESS) {
    return Status::Corrupt("deflate stream of " + Bytes(job.src.size()) +
                           " is damaged or cut short");
  }
  if (written != job.dst.size()) {
    return Status::Corrupt("deflate stream: expected " + Bytes(job.dst.size()) +
                           ", found " + std::to_string(written));
  }
  if (read != job.src.size()) {
    return Status::Corrupt("deflate stream ends after " + std::to_string(read) +
                           " of " + Bytes(job.src.size()));
  }
  return Status::Ok();
}

}  // namespace

Status Inflate(std::span<const InflateJob> jobs, Stream) {
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  if (decompressor == nullptr) {
    return Status::OutOfMemory("no memory for a deflate decompressor");
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (Status status = InflateOne(decompressor.get(), jobs[i]); !status.ok()) {
      return status.WithContext("job " + std::to_string(i));
    }
  }
  return Status::Ok();
}

}  // namespace caisson::cpu
