// SPDX-License-Identifier: Apache-2.0
//
// Numbers that tell values apart, so that dict keys and members of sets can be
// matched between two files.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "caisson/state.h"

namespace caisson::cli {

class ValueIds {
 public:
  // Equal for values of one type that are equal bit by bit: 1, 1.0 and True
  // differ, as do 0.0 and -0.0, and a NaN equals itself. Of tensors only dtype
  // and shape count, of storages their size. Takes the time of the distinct
  // nodes below `node`, however often they are shared.
  //
  // REQUIRES: nodes live as long as this; none contains itself.
  uint64_t Of(const Node& node);

 private:
  // The type and the bits of a value, with the numbers of what it holds.
  std::string Spell(const Node& node);

  std::unordered_map<const void*, uint64_t> by_node_;
  std::unordered_map<std::string, uint64_t> by_spelling_;
};

}  // namespace caisson::cli
