// SPDX-License-Identifier: Apache-2.0
//
// Parses what torch.save wrote before 1.6, and still writes with
// _use_new_zipfile_serialization=False, into a Layout. formats.md 3.
#pragma once

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/torch/torch_reader.h"

namespace caisson::torch {

// Reads the pickles and the length in front of each storage; no payload. There
// are no checksums. Bytes after the last storage are passed over: another file
// may follow.
//
// Errors: kCorrupt, naming the offset, for what contradicts itself or ends too
// early; kUnsupported as for ParseTorchArchive().
Result<ParsedArchive> ParseLegacy(const ByteSource& source,
                                  const ParseOptions& options = {});

}  // namespace caisson::torch
