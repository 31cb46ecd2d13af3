// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of torch.distributed.checkpoint: a folder of shards and the file
// that tells what is where, opened as one file. docs/formats.md, distributed
// checkpoints.
//
// Thread safety: free functions; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/reader.h"
#include "caisson/status.h"
#include "core/engine/read/open_file.h"
#include "core/engine/read/read_task.h"
#include "core/formats/dcp/checkpoint.h"

namespace caisson {

// Whether `path` is a folder that holds a distributed checkpoint, whole or not,
// or the file that tells what is in one.
bool IsDcp(const std::string& path);

// Whether `path` has the name of a shard, ours or stock's.
bool IsDcpShard(const std::string& path);

// Where the checkpoint at `path` is.
//
// REQUIRES: IsDcp(path).
// Errors: kNotFound for a folder of shards whose save never ended;
// kUnsupported for one whose ranks saved each for itself.
Result<DcpPath> FindDcp(const std::string& path);

// What the metadata at `at` tells. Reads no shard.
//
// Errors: those of ParseManifest() and ParseMetadata(), naming the file; kIo.
Result<dcp::Checkpoint> ReadCheckpoint(const DcpPath& at,
                                       const ByteSource& metadata);

// Before all shards are opened, which stay open, with two descriptors each.
void AllowShards(const dcp::Checkpoint& checkpoint);

// The path of a shard.
//
// Errors: kCorrupt for a link, which may lead out of the folder.
Result<std::string> ShardPath(const DcpPath& at, const std::string& file);

// Errors: those of Reader::Open().
Result<OpenedFile> OpenDcp(const DcpPath& at, const ReaderOptions& options,
                           const OpenAdapter& open);

// Checks every record of every archive that the metadata names, and then that
// the metadata and the shards tell the same. What is wrong with a shard, or
// with what the metadata says, is the report's damage. `held` gets the files
// and the parts of them that were read, which outlive what `reads` holds.
//
// Errors: those of ReadCheckpoint() but kCorrupt; of reading, kIo,
// kOutOfMemory and kCancelled.
Result<VerifyReport> VerifyDcp(
    const DcpPath& at, const OpenAdapter& open, ReadExecutor& reads,
    std::vector<std::shared_ptr<const ReadAdapter>>* held);

}  // namespace caisson
