// SPDX-License-Identifier: Apache-2.0
//
// Parses a safetensors file into a Layout. formats.md 4.
#pragma once

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"

namespace caisson::safetensors {

// Reads the header; no payload. Tensors come in the order of their data, each
// in a storage of its own, under a path of one step: the name. Those of a file
// with CRCs (see kCrcKey) carry them, unless their number is not that of the
// tensors, which says that another program wrote the tensors since.
//
// Errors: kCorrupt, with the crate's name of the error, in the order of its
// checks: HeaderTooSmall, HeaderTooLarge, InvalidHeaderLength, those of
// ParseHeader, those of OrderEntries. kUnsupported for shapes that are valid
// and that torch could not hold: more than 64 dimensions or 2^63 elements, an
// F4 with an odd last dimension.
Result<Layout> ParseSafetensors(const ByteSource& source);

}  // namespace caisson::safetensors
