// SPDX-License-Identifier: Apache-2.0
//
// Lays a State out as the file that torch.save writes. formats.md 1 and 2.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "caisson/profile.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "core/formats/format.h"
#include "core/formats/layout.h"

namespace caisson::torch {

// How a storage, which tensors of `dtype` view, is encoded: kRaw, kDeflate or
// kPlane. Asked once for each that has bytes.
using EncodingChoice =
    std::function<Encoding(const Storage& storage, DType dtype)>;

// The parts of the file. `state` must outlive the stream, and its tensors stay
// as they are. The profile must have a prefix. Where `choose` has any storage
// encoded, the file is a packed one, whose profile is kept in it.
//
// Errors: kInvalidArgument for an alignment outside 1 to 32768, a bad prefix,
// and what cannot be pickled.
Result<std::unique_ptr<PartStream>> WriteTorchArchive(
    const State& state, const Profile& profile,
    const EncodingChoice& choose = {});

// The folder that torch.save gives to a file at `path`: the last component
// without its last extension, or "archive" if the path is not all ASCII.
// kInvalidArgument if nothing is left.
Result<std::string> PrefixFor(std::string_view path);

}  // namespace caisson::torch
