// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "caisson/status.h"
#include "core/base/byte_source.h"

namespace caisson::pickle {

// Bytes of the pickle at `offset`, up to and with its STOP. Steps over each
// opcode's argument and looks at nothing else, so that a pickle in front of
// gigabytes is found without reading them.
//
// Errors: kCorrupt if the source ends before STOP; kUnsupported for an opcode
// that no pickle of torch.save has; kIo.
Result<uint64_t> PickleExtent(const ByteSource& source, uint64_t offset);

}  // namespace caisson::pickle
