// SPDX-License-Identifier: Apache-2.0
//
// ISA-L ends a chunk with a full flush: its bytes are whole, and what follows
// refers to nothing before it.
#include <isa-l.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>

#include "kernels/cpu/deflate_chunk.h"

namespace caisson::cpu {
namespace {

constexpr size_t kLevelBytes =
    std::max({size_t{ISAL_DEF_LVL1_DEFAULT}, size_t{ISAL_DEF_LVL2_DEFAULT},
              size_t{ISAL_DEF_LVL3_DEFAULT}});

// What the library needs of a level, kept by each thread.
uint8_t* LevelBuffer() {
  thread_local const std::unique_ptr<uint8_t[]> buffer(
      new (std::nothrow) uint8_t[kLevelBytes]);
  return buffer.get();
}

// ISA-L has three levels.
uint32_t LevelOf(int level) {
  return static_cast<uint32_t>(std::min(level, 3));
}

}  // namespace

// Stored blocks of up to 65535 bytes with 5 bytes before each, the flush, and
// some for what the library wants to see free.
size_t DeflateChunkBound(size_t bytes) {
  return bytes + 5 * (bytes / 65535 + 1) + 5 + 256;
}

Status DeflateChunk(int level, const DeflateJob& job) {
  uint8_t* const buffer = LevelBuffer();
  if (buffer == nullptr) {
    return Status::OutOfMemory("no memory for a deflate compressor");
  }
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  // Taken through a pointer that is not const.
  stream.next_in =
      reinterpret_cast<uint8_t*>(const_cast<std::byte*>(job.src.data()));
  stream.avail_in = static_cast<uint32_t>(job.src.size());
  stream.next_out = reinterpret_cast<uint8_t*>(job.dst.data());
  stream.avail_out =
      static_cast<uint32_t>(std::min<size_t>(job.dst.size(), UINT32_MAX));
  stream.level = LevelOf(level);
  stream.level_buf = buffer;
  stream.level_buf_size = static_cast<uint32_t>(kLevelBytes);
  stream.flush = FULL_FLUSH;
  stream.end_of_stream = 0;
  if (isal_deflate_stateless(&stream) != COMP_OK) {
    return Status::InvalidArgument(
        "deflate needs " + std::to_string(DeflateChunkBound(job.src.size())) +
        " bytes, has " + std::to_string(job.dst.size()));
  }
  *job.stored = stream.total_out;
  return Status::Ok();
}

}  // namespace caisson::cpu
