// SPDX-License-Identifier: Apache-2.0
#include <isa-l.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>

#include "kernels/inflate_blocks.h"

namespace caisson {
namespace {

// The library counts in 32 bits.
constexpr size_t kMostOut = size_t{1} << 30;

}  // namespace

bool CanInflateBlocks() { return true; }

Status InflateBlocks(const NextBlock& next, std::span<std::byte> dst) {
  // Too large for a stack.
  const std::unique_ptr<inflate_state> state(new (std::nothrow) inflate_state);
  if (state == nullptr) {
    return Status::OutOfMemory("no memory for a deflate decompressor");
  }
  isal_inflate_init(state.get());
  size_t written = 0;
  bool more = true;
  uint8_t beyond = 0;  // takes what would be too much
  while (state->block_state != ISAL_BLOCK_FINISH) {
    if (state->avail_in == 0 && more) {
      Result<std::span<const std::byte>> block = next();
      if (!block) return block.error();
      more = !block->empty();
      // Taken through a pointer that is not const.
      state->next_in =
          reinterpret_cast<uint8_t*>(const_cast<std::byte*>(block->data()));
      state->avail_in = static_cast<uint32_t>(block->size());
    }
    const size_t room = std::min(kMostOut, dst.size() - written);
    state->next_out =
        room == 0 ? &beyond : reinterpret_cast<uint8_t*>(&dst[written]);
    state->avail_out = room == 0 ? 1 : static_cast<uint32_t>(room);
    const uint32_t had_in = state->avail_in;
    const uint32_t had_out = state->avail_out;
    const int result = isal_inflate(state.get());
    const size_t made = had_out - state->avail_out;
    if (result < 0) return Status::Corrupt("deflate stream is damaged");
    if (room == 0 && made > 0) {
      return Status::Corrupt("deflate stream: expected " +
                             std::to_string(dst.size()) + " bytes, found more");
    }
    written += made;
    const bool stuck = made == 0 && had_in == state->avail_in;
    if (stuck && (had_in > 0 || !more) &&
        state->block_state != ISAL_BLOCK_FINISH) {
      return Status::Corrupt("deflate stream is cut short");
    }
  }
  if (written != dst.size()) {
    return Status::Corrupt("deflate stream: expected " +
                           std::to_string(dst.size()) + " bytes, found " +
                           std::to_string(written));
  }
  size_t left = state->avail_in;
  while (more && left == 0) {
    Result<std::span<const std::byte>> block = next();
    if (!block) return block.error();
    more = !block->empty();
    left += block->size();
  }
  // The library reads ahead by up to 8 bytes, which it holds.
  left += static_cast<size_t>(std::max(state->read_in_length, 0)) / 8;
  if (left == 0) return Status::Ok();
  return Status::Corrupt("deflate stream ends before its source does");
}

}  // namespace caisson
