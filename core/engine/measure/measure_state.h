// SPDX-License-Identifier: Apache-2.0
//
// The state that measurements save and load: bfloat16 weights and fp32 moments
// of random bits, in one piece of memory.
//
// Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/device/buffer.h"

namespace caisson {

class MeasuredState {
 public:
  // Maps memory without touching it. `bytes` is rounded down to whole blocks
  // of direct transfers. `weights`: without moments.
  //
  // Errors: kInvalidArgument; kOutOfMemory.
  static Result<MeasuredState> Create(uint64_t bytes, bool weights);

  std::span<std::byte> bytes() const { return memory_->bytes(); }
  const State& state() const { return state_; }
  State& state() { return state_; }

 private:
  MeasuredState(std::shared_ptr<Buffer> memory, bool weights);

  std::shared_ptr<Buffer> memory_;
  State state_;
};

}  // namespace caisson
