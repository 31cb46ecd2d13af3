// SPDX-License-Identifier: Apache-2.0
#include "bench/isal.h"

#include <isa-l.h>

#include <vector>

namespace caisson::bench {
namespace {

uint32_t Crc32(uint32_t crc, std::span<const std::byte> bytes) {
  return crc32_gzip_refl(
      crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

// ISA-L takes its input through a pointer that is not const, and counts in 32
// bits.
uint8_t* In(std::span<const std::byte> bytes) {
  return reinterpret_cast<uint8_t*>(const_cast<std::byte*>(bytes.data()));
}
uint8_t* Out(std::span<std::byte> bytes) {
  return reinterpret_cast<uint8_t*>(bytes.data());
}

size_t Deflate(std::span<const std::byte> src, std::span<std::byte> dst) {
  static std::vector<uint8_t> level_buffer(ISAL_DEF_LVL1_DEFAULT);
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  stream.next_in = In(src);
  stream.avail_in = static_cast<uint32_t>(src.size());
  stream.next_out = Out(dst);
  stream.avail_out = static_cast<uint32_t>(dst.size());
  stream.level = 1;
  stream.level_buf = level_buffer.data();
  stream.level_buf_size = static_cast<uint32_t>(level_buffer.size());
  stream.end_of_stream = 1;
  return isal_deflate_stateless(&stream) == COMP_OK ? stream.total_out : 0;
}

bool Inflate(std::span<const std::byte> src, std::span<std::byte> dst) {
  inflate_state state;
  isal_inflate_init(&state);
  state.next_in = In(src);
  state.avail_in = static_cast<uint32_t>(src.size());
  state.next_out = Out(dst);
  state.avail_out = static_cast<uint32_t>(dst.size());
  return isal_inflate_stateless(&state) == ISAL_DECOMP_OK &&
         state.total_out == dst.size();
}

}  // namespace

const IsaL* FindIsaL() {
  static constexpr IsaL kIsaL = {
      .crc32 = Crc32,
      .deflate = Deflate,
      .inflate = Inflate,
  };
  return &kIsaL;
}

}  // namespace caisson::bench
