// SPDX-License-Identifier: Apache-2.0
//
// From a path or an adapter to the layout of what lies there: tells the format
// and asks its parser.
//
// Thread safety: free functions; any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/reader.h"
#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/layout.h"
#include "core/formats/signature.h"

namespace caisson {

// A distributed checkpoint.
struct DcpPath {
  std::string folder;
  std::string metadata;  // the path of the file that tells what is where
};

struct OpenedFile {
  ByteSource source;  // Layout::sources[0]

  // Layout::sources[1] and on: files, or what of the file was decoded when it
  // was opened, which has the file's name.
  std::vector<ByteSource> shards;
  Layout layout;
  std::vector<Global> unknown;  // globals that torch.load would refuse
  std::optional<DcpPath> checkpoint = std::nullopt;  // if it is one
};

using OpenAdapter = std::function<Result<std::shared_ptr<const ReadAdapter>>(
    const std::string& path)>;

// Through the page cache.
Result<std::shared_ptr<const ReadAdapter>> OpenBuffered(
    const std::string& path);

// Errors: those of Reader::Open().
Result<OpenedFile> OpenFile(std::shared_ptr<const ReadAdapter> adapter,
                            const ReaderOptions& options);

// The same for a path, which may also be the index of a sharded safetensors
// file, or a folder that holds one of those or one safetensors file, or a
// distributed checkpoint.
Result<OpenedFile> OpenPath(const std::string& path,
                            const ReaderOptions& options,
                            const OpenAdapter& open);

// What the first bytes of `source` say it is; what they do not tell, its name.
Result<Signature> SignatureOf(const ByteSource& source);

// The form of Caffe2's files that `source`, of that signature, has; none if it
// is another format.
std::optional<caffe2::Form> Caffe2FormOf(const ByteSource& source,
                                         Signature signature);

// Whether `path` is for OpenPath() alone: a folder, an index, the metadata of a
// checkpoint.
bool IsIndexOrFolder(const std::string& path);

}  // namespace caisson
