// SPDX-License-Identifier: Apache-2.0
//
// .metadata, the pickle that stock torch.distributed.checkpoint writes, read as
// data. formats.md 6.2.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/status.h"
#include "core/formats/dcp/checkpoint.h"

namespace caisson::dcp {

// Reads a bare pickle and checks it as ParseManifest() does.
//
// Errors: kCorrupt, with the offset, for a damaged one; kUnsupported for one
// that names anything but the parts of such metadata, and for items that a
// stream transform changed.
Result<Checkpoint> ParseMetadata(std::span<const std::byte> pickle);

}  // namespace caisson::dcp
