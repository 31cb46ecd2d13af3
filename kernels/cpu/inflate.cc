// SPDX-License-Identifier: Apache-2.0
//
// DEFLATE streams held whole in memory, by libdeflate.
#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
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

// The empty last block that a full flush leaves out: RFC 1951, 3.2.4.
constexpr std::array<uint8_t, 5> kEnd = {1, 0, 0, 0xff, 0xff};

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

// libdeflate decodes whole streams only: a copy gets the end that it lacks.
Status InflateChunk(libdeflate_decompressor* decompressor,
                    const InflateJob& job) {
  const size_t bytes = job.src.size() + kEnd.size();
  const std::unique_ptr<std::byte[]> stream(new (std::nothrow)
                                                std::byte[bytes]);
  if (stream == nullptr) {
    return Status::OutOfMemory("deflate: a chunk of " + Bytes(bytes));
  }
  std::ranges::copy(job.src, stream.get());
  std::memcpy(stream.get() + job.src.size(), kEnd.data(), kEnd.size());
  return InflateOne(decompressor, {{stream.get(), bytes}, job.dst});
}

}  // namespace

Status Inflate(std::span<const InflateJob> jobs, Stream) {
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  if (decompressor == nullptr) {
    return Status::OutOfMemory("no memory for a deflate decompressor");
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Status status = jobs[i].ends
                              ? InflateOne(decompressor.get(), jobs[i])
                              : InflateChunk(decompressor.get(), jobs[i]);
    if (!status.ok()) {
      return status.WithContext("job " + std::to_string(i));
    }
  }
  return Status::Ok();
}

}  // namespace caisson::cpu
