// SPDX-License-Identifier: Apache-2.0
//
// Writes the parts of a format into a file, in one thread: pulls each part,
// moves tensor bytes into the window with their CRC taken in the same pass,
// and fills deferred literals as soon as the cursor is there, since by then
// every fact that they may ask for is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "caisson/status.h"
#include "core/formats/format.h"
#include "core/io/file.h"

namespace caisson {

struct PartTotals {
  uint64_t file_bytes = 0;
  uint64_t tensor_bytes = 0;  // before encoding
};

// Writes all of `parts` from offset 0 through `window`.
//
// REQUIRES: !window.empty(); storages are resident in host memory and do not
// change meanwhile.
// Errors: those of the format; kUnsupported for an encoding that this build
// cannot produce; kIo. The file then holds an unspecified part.
Result<PartTotals> WriteParts(PartStream& parts, File& file,
                              std::span<std::byte> window);

}  // namespace caisson
