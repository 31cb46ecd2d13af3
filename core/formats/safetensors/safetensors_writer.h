// SPDX-License-Identifier: Apache-2.0
//
// Lays tensors out as a safetensors file, byte for byte as the safetensors
// crate does. formats.md 4.4.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caisson/status.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/format.h"

namespace caisson::safetensors {

struct WriteOptions {
  std::map<std::string, std::string> metadata;

  // Whether each tensor's CRC-32 goes into the metadata: see kCrcKey.
  bool checksums = true;
};

// Whether a file can hold tensors of that dtype.
bool Holds(DType dtype);

// The parts of the file: the header in front, a front block if it has CRCs,
// then the tensors by dtype and name. They keep the storages.
//
// REQUIRES: the tensors are contiguous, and Holds() is true of their dtypes.
// Errors: kInvalidArgument, naming the tensor, for names that are no UTF-8 or
// that of the metadata, and for a header of more than 100 MB.
Result<std::unique_ptr<PartStream>> WriteSafetensors(
    std::vector<FlatTensor> tensors, const WriteOptions& options);

}  // namespace caisson::safetensors
