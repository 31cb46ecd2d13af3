// SPDX-License-Identifier: Apache-2.0
//
// Caffe2's serialization library: blobs to and from strings and databases.
//
//   using namespace caisson::caffe2;
//   Blob blob;
//   blob.Set(caisson::DenseTensor(DType::kFloat32, {2, 3}, data));
//   Result<std::string> bytes = SerializeBlob(blob, "w");
//   Status status = DeserializeBlob(*bytes, &blob);
//
// Whole states go through Writer, Engine and Reader, which move payload by
// kernels and hold no copy of it; here every record is a string in memory.
// Tensors are TensorViews over memory of the host.
//
// Thread safety: free functions; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/caffe2_messages.h"
#include "caisson/caffe2_registry.h"
#include "caisson/status.h"
#include "caisson/tensor.h"

namespace caisson::caffe2 {

// What stands between a blob's name and the number of its chunk in a key.
inline constexpr std::string_view kChunkIdSeparator = "#%";

struct SerializationOptions {
  // The first whose regex fits the blob's name counts.
  std::vector<BlobSerializationOptions> options;
};

// Hands the records of `blob` to `acceptor`: of a tensor, chunks under
// "<name>#%<index>", of anything else what its serializer says.
//
// Errors: kUnsupported if no serializer is registered for the type, and for
// tensors that cannot be said; kInvalidArgument for a regex that is none; those
// of the acceptor.
Status SerializeBlob(const Blob& blob, const std::string& name,
                     const SerializationAcceptor& acceptor,
                     const SerializationOptions& options = {});

// All of the blob as one record. kUnsupported if its serializer gives several.
Result<std::string> SerializeBlob(const Blob& blob, const std::string& name);

// Brings a record into `blob`. A chunk of a tensor goes into the tensor that is
// there, if that has its shape and type; else memory is taken for the whole
// tensor that it speaks of.
//
// Errors: kCorrupt; kUnsupported, "no deserializer for type ...".
Status DeserializeBlob(std::string_view content, Blob* blob);
Status DeserializeBlob(const BlobMessage& proto, Blob* blob);

// Serializers and deserializers of the types that are built in. They are
// registered with kRegistryDefault.
class TensorSerializer : public BlobSerializerBase {
 public:
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions& options) override;
};
class TensorDeserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override;
};
class StringSerializer : public BlobSerializerBase {
 public:
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions& options) override;
};
class StringDeserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override;
};

// A tensor of uint8 or int32 whose elements stand for
// scale * (element - zero_point).
struct Int8TensorCPU {
  double scale = 1;
  int32_t zero_point = 0;
  TensorView t;
};

// Numbers of `precision` bits as bit planes, one after the other.
struct QTensor {
  std::vector<int64_t> dims;
  int32_t precision = 8;
  double scale = 1;
  double bias = 0;
  bool is_signed = false;
  std::vector<uint8_t> data;
};

// What Caffe2's std::unique_ptr<Counter<int64_t>> counts.
struct Counter {
  int64_t value = 0;
};

// --- databases ---------------------------------------------------------------

enum class DbType : uint8_t { kMinidb, kProtodb };

struct DbSaveOptions {
  DbType type = DbType::kMinidb;
  std::string strip_prefix;  // off the names, with all that stands before it

  // What blobs are called, by their names; not with strip_prefix.
  std::map<std::string, std::string> blob_name_overrides;

  // The operator's argument: 0 for no chunks, -1 for those of Caffe2. Goes
  // before the options'.
  std::optional<int64_t> chunk_size;
  SerializationOptions options;

  bool append = false;  // to the database that is there, by a copy of it
  bool sync = true;     // as WriteOptions::sync
};

// Writes the blobs into a database that appears whole or not at all, in the
// order of their names.
//
// Errors: those of SerializeBlob(); kInvalidArgument for two blobs of one name
// and for both ways to name them; kUnsupported for a blob that is no tensor in
// a protodb; kIo.
Status SaveBlobs(const std::string& path,
                 const std::map<std::string, Blob>& blobs,
                 const DbSaveOptions& options = {});

struct DbLoadOptions {
  std::string strip_prefix;  // as above, before add_prefix
  std::string add_prefix;

  // Leaves tensors where the file says they were (Storage::location). Default:
  // they are the host's.
  bool keep_device = false;

  // Which blobs, by their names in the database. Empty: all.
  std::vector<std::string> source_blob_names;

  bool allow_incomplete = false;  // names that no database has are no error
};

// The blobs of databases, by the names that they get. Each file is walked
// through before memory is taken: of a tensor's chunks, in any order, every
// element must be there once.
//
// Errors: kNotFound for a blob that is missing; kCorrupt, also for a key that
// two databases have; those of DeserializeBlob(); kIo.
Result<std::map<std::string, Blob>> LoadBlobs(
    const std::vector<std::string>& paths, const DbLoadOptions& options = {});

// Calls `take` with every record of a database, in order, duplicates too.
Status ForEachRecord(const std::string& path,
                     const SerializationAcceptor& take);

}  // namespace caisson::caffe2
