// SPDX-License-Identifier: Apache-2.0
//
// Lays tensors out as a database of Caffe2's. formats.md 5.2 to 5.6.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/format.h"

namespace caisson::caffe2 {

// Elements of a chunk if nobody says otherwise: formats.md 5.3.
inline constexpr int64_t kDefaultChunk = 1'000'000;

struct DbWriteOptions {
  Form form = Form::kMinidb;  // or kProtodb, kProtodbText

  // Elements of a minidb's records: 0 for kDefaultChunk, -1 for all of them.
  int64_t chunk_size = 0;

  // A database of that form, whose bytes come before.
  std::optional<ByteSource> append;
};

// The parts of the file: chunks in order, each behind what describes it. They
// keep the storages. Varint lists are measured before they are laid; text is
// made tensor by tensor, of memory of the host.
//
// REQUIRES: the tensors are contiguous, and Holds() is true of their dtypes.
// Errors: kInvalidArgument, naming the tensor, for a name with "#%" in it, and
// for one that the database has already; those of ParseCaffe2(). From Next():
// kUnsupported for a record of 2 GiB or more, and for such a protodb.
Result<std::unique_ptr<PartStream>> WriteCaffe2(std::vector<FlatTensor> tensors,
                                                const DbWriteOptions& options);

// What text does not say of tensors in memory of the host: the bits of a NaN.
std::vector<std::string> LostInText(const std::vector<FlatTensor>& tensors);

}  // namespace caisson::caffe2
