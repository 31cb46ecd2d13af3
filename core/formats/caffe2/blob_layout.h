// SPDX-License-Identifier: Apache-2.0
//
// Puts records together to blobs, and blobs to a Layout: chunks in any order,
// each element exactly once. formats.md 5.3.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "caisson/status.h"
#include "core/base/byte_source.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/caffe2/records.h"

namespace caisson::caffe2 {

// What separates a blob's name from the number of its chunk in a key.
inline constexpr std::string_view kChunkMark = "#%";

// Of a key, up to the first mark.
std::string_view BlobNameOf(std::string_view key);

class BlobLayout {
 public:
  // `source` must outlive it.
  explicit BlobLayout(const ByteSource& source) : source_(source) {}

  // A BlobProto or TensorProto at `where`, walked, and its key.
  Status AddBlob(const std::string& key, Extent where, const BlobRecord& blob);
  Status AddTensor(const std::string& name, Extent where,
                   const TensorRecord& tensor);

  // A tensor that was decoded.
  Status AddDecoded(const std::string& name, const TensorMessage& tensor);

  // Something that is no part of the state.
  void AddOther(std::string what, Extent where);

  // The layout; its format is left to the caller.
  Result<ParsedBlobs> Finish();

 private:
  struct Part {
    Chunk chunk;
    Piece piece;
    Extent where;       // of the message, to be decoded if it is not plain
    bool blob = false;  // what that is: a BlobProto, else a TensorProto
    bool plain = true;
  };
  struct Entry {
    std::string name;
    std::vector<Part> parts;            // of a tensor
    std::optional<std::string> string;  // or what a string holds
    std::optional<int32_t> num_chunks;  // or content in chunks, of a type
    std::vector<int32_t> chunk_ids;
    std::string type;
    Extent where;
    std::string location = "cpu";
  };

  Entry& EntryOf(const std::string& name, bool* added);
  Status AddPart(const std::string& name, Extent where, bool blob,
                 const TensorRecord& tensor);
  Status AddContent(const std::string& name, Extent where,
                    const BlobRecord& blob);
  Status Decode(Part& part, bool widen);
  Status Append(Part& part, const TensorMessage& tensor, bool widen);
  Status CheckParts(Entry& entry);
  Status Place(Entry& entry, Layout* layout);
  Status Fail(const Status& status, const std::string& name,
              uint64_t offset) const;

  const ByteSource& source_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> by_name_;
  std::vector<OtherRecord> others_;
  std::vector<std::string> warnings_;
  std::string image_;
};

}  // namespace caisson::caffe2
