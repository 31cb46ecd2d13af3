// SPDX-License-Identifier: Apache-2.0
//
// States built in C++ from nothing. tests/peers/built_states.py builds each in
// Python, with the same identities, so that torch.save must give the bytes
// that Writer gives.
#pragma once

#include <string_view>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson {

// kNotFound if there is no state of that name.
Result<State> BuiltState(std::string_view name);

}  // namespace caisson
