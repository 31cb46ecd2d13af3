// SPDX-License-Identifier: Apache-2.0
//
// A state as the files that its path and the options ask for.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/compression.h"
#include "caisson/file_format.h"
#include "caisson/profile.h"
#include "caisson/state.h"
#include "caisson/status.h"
#include "core/engine/codec/compression_choice.h"
#include "core/formats/format.h"

namespace caisson {

struct PlannedFile {
  std::string path;
  std::unique_ptr<PartStream> parts;
};

struct SavePlan {
  // In the order in which they must appear: an index after what it lists.
  std::vector<PlannedFile> files;
  std::vector<std::string> dropped;  // what the format could not carry
  CompressionReport compression;

  // At least the bytes of all files; 0 for what is not known.
  uint64_t BytesBound() const;
};

// Of which storages a plan looks at the bytes, so that they must be in memory.
enum class PlanReads : uint8_t {
  kNothing,
  kStrided,  // those of views that are not dense
  kAll,
};
PlanReads ReadsOfPlan(const std::string& path, const FormatOptions& format,
                      CompressMode compress);

// The files of `state`: one at `path`, unless the options ask for shards. For a
// PyTorch file in `profile`, or in the state's own. The plan keeps the
// storages; the tree may change afterwards. Where `wish` asks for it, storages
// are sampled.
//
// Errors: kUnsupported for the suffix of a format that cannot be written, and
// for a state that the format cannot carry, naming what; kInvalidArgument for
// one that cannot be saved, naming the tensor.
Result<SavePlan> PlanSave(const State& state, const std::string& path,
                          const std::optional<Profile>& profile,
                          const FormatOptions& format,
                          const CompressionWish& wish = {});

// `status` of a write of `state`, with the paths of the file and of the first
// tensor that cannot be saved, if there is one.
Status Explained(const Status& status, const State& state,
                 const std::string& path);

}  // namespace caisson
