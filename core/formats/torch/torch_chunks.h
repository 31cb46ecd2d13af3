// SPDX-License-Identifier: Apache-2.0
//
// The chunks of compressed storages, as pieces of a layout. docs/formats.md,
// packed files.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/layout.h"
#include "core/formats/torch/pack_record.h"
#include "core/formats/zip/zip_reader.h"

namespace caisson::torch {

// Adds a piece to `storage`, whose bytes and dtype are set, for each chunk of
// the record of the plane codec at `entry`, whose index is read.
//
// Errors: kCorrupt, kUnsupported, naming the record; kIo.
Status PlacePlane(const ByteSource& source, const zip::Entry& entry,
                  StorageLayout* storage);

// The same for a deflated record. `order`: of its elements.
//
// Errors: kCorrupt, without names, if the chunks are not those of the record.
Status PlaceDeflated(const zip::Entry& entry, uint64_t chunk_bytes,
                     const PackRecord::Deflated& deflated, ByteOrder order,
                     StorageLayout* storage);

}  // namespace caisson::torch
