// SPDX-License-Identifier: Apache-2.0
//
// The shards of a distributed checkpoint while it is opened: files, each opened
// once, and the archives in them.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "caisson/status.h"
#include "core/engine/dcp/chunked_tensors.h"
#include "core/engine/read/open_file.h"
#include "core/formats/dcp/checkpoint.h"
#include "core/formats/layout.h"

namespace caisson {

// Metadata may name this many times the bytes that a file has.
inline constexpr uint64_t kMostTimesNamed = 4;

class DcpShards {
 public:
  // Files become shards of `opened` and sources of its layout, and globals that
  // torch.load would refuse its unknown ones. All must outlive this.
  DcpShards(const DcpPath& at, OpenedFile& opened, const ReaderOptions& options,
            const OpenAdapter& open)
      : at_(at), opened_(opened), options_(options), open_(open) {}

  // The tensor that is stored at `place` for `fqn`. Pieces lie in the sources.
  //
  // Errors: those of Reader::Open(); kCorrupt for an archive that does not hold
  // what the metadata says.
  Result<StoredChunk> Tensor(const std::string& fqn, const dcp::Place& place);

  // The value that is stored there, as a layout: its state, and the storages
  // of the tensors in it.
  //
  // Errors: the same; kUnsupported for one that is far larger than its bytes;
  // kCorrupt once the values together are, of all that were asked for.
  Result<Layout> Value(const std::string& fqn, const dcp::Place& place);

  // Adds what is no file of its own; returns its number among the sources.
  uint32_t AddSource(std::shared_ptr<const ReadAdapter> adapter);

 private:
  // An archive that is a whole file, and where each record is in it.
  struct Archive {
    Layout layout;
    std::unordered_map<std::string, size_t> storages;  // by record
    std::vector<const TensorLayout*> tensors;          // the first over each
  };

  Result<uint32_t> SourceOf(const std::string& file);
  Result<const Archive*> ArchiveOf(const std::string& file);
  Result<StoredChunk> Record(const std::string& fqn, const dcp::Place& place);
  Result<Layout> OpenPart(uint32_t source, uint64_t offset, uint64_t bytes);
  Result<Layout> OpenArchive(std::shared_ptr<const ReadAdapter> adapter,
                             uint32_t source, uint64_t base);
  Status Charge(uint32_t source, uint64_t bytes);
  Status ChargeDecoded(uint64_t bytes);

  const DcpPath& at_;
  OpenedFile& opened_;
  const ReaderOptions& options_;
  const OpenAdapter& open_;
  std::unordered_map<std::string, uint32_t> files_;  // source by name
  std::unordered_map<std::string, Archive> archives_;
  // Parallel to the shards: who reads them, and how much of them was named.
  std::vector<std::shared_ptr<const ReadAdapter>> adapters_;
  std::vector<uint64_t> named_bytes_;

  // Sources that were decoded and kept, by file and record; 0: was not kept.
  std::map<std::pair<std::string, std::string>, uint32_t> decoded_;
  uint64_t decoded_bytes_ = 0;  // of all values that were asked for
  uint64_t file_bytes_ = 0;     // of all files
};

}  // namespace caisson
