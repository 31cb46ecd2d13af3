// SPDX-License-Identifier: Apache-2.0
//
// Saves run one after the other: who saves has the turn.
//
// Thread safety: a value.
#pragma once

#include <utility>

#include "core/engine/engine_impl.h"

namespace caisson {

// Gives the turn back.
class Engine::Impl::Turn {
 public:
  explicit Turn(Impl& impl) : impl_(&impl) {}
  Turn(Turn&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  ~Turn() {
    if (impl_ != nullptr) impl_->EndTurn();
  }

 private:
  Impl* impl_;
};

}  // namespace caisson
