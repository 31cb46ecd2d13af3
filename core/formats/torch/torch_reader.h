// SPDX-License-Identifier: Apache-2.0
//
// Parses the archive that torch.save writes, since 1.6, into a Layout.
#pragma once

#include <vector>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/format.h"
#include "core/formats/layout.h"

namespace caisson::torch {

struct ParseOptions {
  // Only what torch.load(weights_only=True) takes.
  bool strict = false;
};

struct ParsedArchive {
  Layout layout;
  std::vector<Global> unknown;  // globals that torch.load would refuse
};

// Reads the directory, the small records and the pickle; no payload.
//
// Errors: kCorrupt, naming record and offset, for what contradicts itself;
// kUnsupported for TorchScript archives and for storages in codecs that this
// build lacks.
Result<ParsedArchive> ParseTorchArchive(const ByteSource& source,
                                        RecordSource& records,
                                        const ParseOptions& options = {});

}  // namespace caisson::torch
