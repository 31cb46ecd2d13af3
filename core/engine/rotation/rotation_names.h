// SPDX-License-Identifier: Apache-2.0
//
// The names of a rotation: which of a directory's entries are checkpoints,
// which their temporaries. Everything else is somebody else's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "caisson/rotation.h"
#include "caisson/status.h"

namespace caisson {

// Whether names can be made of these options and told apart; kInvalidArgument.
Status CheckRotationNames(const RotationOptions& options);

std::string CheckpointName(const RotationOptions& options, uint64_t step);

// The step of a name that CheckpointName() can return; none for any other.
std::optional<uint64_t> StepOf(const RotationOptions& options,
                               std::string_view name);

// The checkpoint whose temporary `name` is; empty if it is none.
std::string_view CheckpointOfTemporary(const RotationOptions& options,
                                       std::string_view name);

}  // namespace caisson
