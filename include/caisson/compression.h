// SPDX-License-Identifier: Apache-2.0
//
// How tensors are compressed in a file, what a save is asked for and what it
// chose. docs/formats.md, packed files.
//
// Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace caisson {

// How a tensor's bytes are stored.
enum class Compression : uint8_t {
  kNone,
  kDeflate,  // zip method 8: torch.load reads it, but with mmap=False only
  kPlane,    // Caisson's codec: torch.load stops at it
};

// "none", "deflate" or "plane".
std::string_view Name(Compression compression);

// What a save does with its tensors. PyTorch files only. Storages of a few
// kilobytes, and of what does not get smaller, are stored as they are.
enum class CompressMode : uint8_t {
  kNone,
  kDeflate,
  kPlane,
  // What is fastest for each storage: by a sample of it, and by the rates of
  // the codecs and of the disk, which are measured. On a device, where neither
  // is: floats by the plane codec, the rest as it is.
  kAuto,
};

// What became of one storage.
struct CompressionChoice {
  std::string tensor;  // the first that views it
  Compression compression = Compression::kNone;
  uint64_t bytes = 0;  // of the storage
  double ratio = 1;    // of a sample, stored by original bytes; 0: not sampled
};

struct CompressionReport {
  // Of a save that compresses, for each storage that has bytes. In no order.
  std::vector<CompressionChoice> storages;

  // By which rates CompressMode::kAuto chose, and what it left alone.
  std::string why;
};

}  // namespace caisson
