// SPDX-License-Identifier: Apache-2.0
//
// The canonical text of a State: what tests/peers/canonical.py prints for the
// same state as stock torch loads it. Its docstring is the specification.
#pragma once

#include <string>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// kUnsupported, naming it, for an object without a canonical form. REQUIRES:
// every storage is resident.
Result<std::string> CanonicalText(const State& state);

}  // namespace caisson
