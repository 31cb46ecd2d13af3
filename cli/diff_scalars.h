// SPDX-License-Identifier: Apache-2.0
//
// How a difference shows the values of two states.
#pragma once

#include <string>
#include <utility>

#include "caisson/state.h"

namespace caisson::cli {

// A value in a few words, ready for a terminal: "7", "float32 [2, 3]",
// "dict of 3".
std::string Brief(const Node& node);

// Whether two values of one kind that hold no other are equal, bit by bit.
// REQUIRES: neither is a container, a tensor or a storage.
bool SameBits(const Node& a, const Node& b);

// Both values, with what tells them apart where they would look the same.
// REQUIRES: that of SameBits.
std::pair<std::string, std::string> BriefPair(const Node& a, const Node& b);

}  // namespace caisson::cli
