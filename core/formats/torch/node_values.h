// SPDX-License-Identifier: Apache-2.0
//
// What nodes of a pickle stand for.
#pragma once

#include <cstdint>
#include <optional>

#include "caisson/state.h"

namespace caisson::torch {

// None if it is no integer, or a larger one.
inline std::optional<int64_t> AsInt64(const Node& node) {
  const Integer* integer = node.As<Integer>();
  return integer != nullptr ? integer->ToInt64() : std::nullopt;
}

}  // namespace caisson::torch
