// SPDX-License-Identifier: Apache-2.0
//
// Which kind of file is written, and what it may leave out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace caisson {

enum class FileFormat : uint8_t {
  kPyTorch,      // what torch.save writes: the whole tree
  kSafetensors,  // named dense tensors
  kCaffe2,       // the same, in one of Caffe2's databases
};

// "pytorch", "safetensors", "caffe2".
std::string_view Name(FileFormat format);

// The format that the suffix of `path` names: ".safetensors" its own,
// ".minidb",
// ".pb" (a protodb) and ".pbtxt" (its text) Caffe2, any other PyTorch. None for
// one that is another format's and cannot be written.
std::optional<FileFormat> FormatOf(std::string_view path);

struct FormatOptions {
  // Default: FormatOf() the path. A Caffe2 file is what its suffix says, else a
  // minidb.
  std::optional<FileFormat> format;

  // Whether a flat format may leave out what it cannot carry: values that are
  // no tensors; dtypes that it lacks; conj and neg views; quantised, sparse and
  // other objects. Tensors that share memory are written each for itself.
  // Default: a state that has such things is refused.
  bool drop = false;

  // Whether a safetensors file gets the CRC-32 of each tensor, in its metadata
  // under "caisson.crc32". Without, it is byte for byte what the safetensors
  // library writes, and cannot be verified.
  bool checksums = true;

  // Safetensors only. If the tensors take more bytes than this, they go to
  // several files, "model-00001-of-00003.safetensors" for "model.safetensors",
  // each with no more than that unless a single tensor has, and
  // "model.safetensors.index.json" tells which is where. 0: one file.
  uint64_t shard_bytes = 0;

  // Caffe2's minidb only. How many elements of a tensor a record has: 0 for a
  // million, as in Caffe2, -1 for all of them.
  int64_t chunk_elems = 0;

  // Caffe2 only: the tensors come after those of the database that is there
  // already, which is replaced as a whole or not at all. A name that it has is
  // an error.
  bool append = false;
};

}  // namespace caisson
