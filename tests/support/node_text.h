// SPDX-License-Identifier: Apache-2.0
//
// A Node as a line of text that says everything but identity and payload, so
// that a test can compare trees and a failure shows what differs.
#pragma once

#include <string>

#include "caisson/state.h"

namespace caisson {

// Python's notation where there is one: {'a': [1, 2.5]}, b'\x00', f(1, 2).
// REQUIRES: no cycle.
std::string NodeText(const Node& node);

}  // namespace caisson
