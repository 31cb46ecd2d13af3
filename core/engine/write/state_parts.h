// SPDX-License-Identifier: Apache-2.0
//
// A state as the parts of the file that its path asks for.
//
// Thread safety: free functions; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "caisson/profile.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/format.h"

namespace caisson {

// The parts of `state` in `profile`, or in the state's own. They keep the
// storages; the tree may change afterwards.
//
// Errors: kUnsupported for the suffix of another format than PyTorch's;
// kInvalidArgument for a state that cannot be saved, naming the tensor.
Result<std::unique_ptr<PartStream>> PartsOf(
    const State& state, const std::string& path,
    const std::optional<Profile>& profile);

// `status` of a write of `state`, with the paths of the file and of the first
// tensor that cannot be saved, if there is one.
Status Explained(const Status& status, const State& state,
                 const std::string& path);

}  // namespace caisson
