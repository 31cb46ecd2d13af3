// SPDX-License-Identifier: Apache-2.0
//
// Calls of Python's own types whose value we know: bytes, bytearray, set,
// frozenset, complex, OrderedDict. formats.md 2.2.
#pragma once

#include <optional>
#include <string_view>

#include "caisson/state.h"
#include "caisson/status.h"

namespace caisson::pickle {

// The Python 3 name of a module that Python 2 called `module`.
std::string_view ModernModule(std::string_view module);

// True if CallBuiltin() knows the callable.
bool IsBuiltinCall(const Global& callable);

// The value of callable(*args), or none if it is no call of those.
// kInvalidArgument for arguments that Python would refuse.
Result<std::optional<Node>> CallBuiltin(const Global& callable,
                                        const Tuple& args);

}  // namespace caisson::pickle
