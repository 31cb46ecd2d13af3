// SPDX-License-Identifier: Apache-2.0
//
// Lays a State out as the file that torch.save writes. formats.md 1 and 2.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "caisson/profile.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/format.h"

namespace caisson::torch {

// The parts of the file. `state` must outlive the stream, and its tensors stay
// as they are. The profile must have a prefix.
//
// Errors: kInvalidArgument for an alignment outside 1 to 32768, a bad prefix,
// and what cannot be pickled.
Result<std::unique_ptr<PartStream>> WriteTorchArchive(const State& state,
                                                      const Profile& profile);

// The folder that torch.save gives to a file at `path`: the last component
// without its last extension, or "archive" if the path is not all ASCII.
// kInvalidArgument if nothing is left.
Result<std::string> PrefixFor(std::string_view path);

}  // namespace caisson::torch
