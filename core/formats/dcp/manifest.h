// SPDX-License-Identifier: Apache-2.0
//
// caisson.json, the manifest of a checkpoint that caisson.dcp wrote.
// docs/formats.md, distributed checkpoints.
#pragma once

#include <cstddef>
#include <span>

#include "caisson/status.h"
#include "core/formats/dcp/checkpoint.h"

namespace caisson::dcp {

// Reads a whole manifest, and checks it: its CRC, that every file is one of the
// folder, that the chunks of each tensor cover it once.
//
// Errors: kCorrupt; kUnsupported for another version, or a dtype that is
// unknown.
Result<Checkpoint> ParseManifest(std::span<const std::byte> json);

}  // namespace caisson::dcp
