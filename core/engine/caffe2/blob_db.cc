// SPDX-License-Identifier: Apache-2.0
//
// Blobs to and from databases, as Caffe2's Save and Load operators do it.
// formats.md 5.3 and 5.6.
#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "caisson/adapter.h"
#include "caisson/caffe2.h"
#include "core/base/byte_source.h"
#include "core/base/status_macros.h"
#include "core/formats/caffe2/blob_layout.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/caffe2/minidb.h"
#include "core/formats/caffe2/wire.h"
#include "core/io/atomic_file.h"

namespace caisson::caffe2 {
namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;  // of an old database at once

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// `name` without the first `prefix` in it and all that stands before that.
std::string Stripped(const std::string& name, const std::string& prefix) {
  const size_t at = prefix.empty() ? std::string::npos : name.find(prefix);
  return at == std::string::npos ? name : name.substr(at + prefix.size());
}

// Records after what was there, in a file that appears when it is whole.
class DbWriter {
 public:
  DbWriter(AtomicFile file, DbType type)
      : file_(std::move(file)), type_(type) {}

  // Copies the database that is there.
  Status Copy(const std::string& path) {
    const auto old = FileAdapter::Open(path);
    if (!old && old.error().code() == StatusCode::kNotFound) {
      return Status::Ok();
    }
    if (!old) return old.error();
    const ByteSource source(*old);
    const Form form = type_ == DbType::kMinidb ? Form::kMinidb : Form::kProtodb;
    CAISSON_ASSIGN_OR_RETURN(const ParsedBlobs parsed,
                             ParseCaffe2(source, form));
    for (const TensorLayout& tensor : parsed.layout.tensors) {
      if (type_ == DbType::kProtodb) keys_.insert(tensor.view.spec.name);
    }
    std::string block;
    while (at_ < source.size()) {
      block.resize(std::min<uint64_t>(kCopyBytes, source.size() - at_));
      CAISSON_RETURN_IF_ERROR(source.ReadExact(
          at_, std::as_writable_bytes(std::span(block)), "database"));
      CAISSON_RETURN_IF_ERROR(Write(block));
    }
    return Status::Ok();
  }

  // One record, whose value is an encoded BlobProto.
  Status Put(const std::string& key, const std::string& value) {
    if (type_ == DbType::kMinidb) {
      CAISSON_ASSIGN_OR_RETURN(const std::string prefix,
                               MinidbPrefix(key, value.size()));
      CAISSON_RETURN_IF_ERROR(Write(prefix));
      return Write(value);
    }
    CAISSON_ASSIGN_OR_RETURN(const BlobMessage blob, DecodeBlob(value));
    if (!blob.tensor || blob.type != "Tensor") {
      return Status::Unsupported("blob '" + key +
                                 "': a protodb holds tensors alone");
    }
    TensorMessage tensor = *blob.tensor;
    tensor.name = std::string(BlobNameOf(key));
    if (!keys_.insert(*tensor.name).second) {
      return Status::InvalidArgument("blob '" + *tensor.name +
                                     "': a protodb has each key once");
    }
    CAISSON_ASSIGN_OR_RETURN(const std::string bytes, Encode(tensor));
    std::string record;
    PutBytes(1, bytes, &record);
    if (at_ + record.size() > INT32_MAX) {
      return Status::Unsupported(
          "a protodb, which is one message, of 2 GiB "
          "or more");
    }
    return Write(record);
  }

  Status Commit() { return file_.Commit(); }

 private:
  Status Write(const std::string& bytes) {
    CAISSON_RETURN_IF_ERROR(file_.file().WriteAt(at_, BytesOf(bytes)));
    at_ += bytes.size();
    return Status::Ok();
  }

  AtomicFile file_;
  const DbType type_;
  uint64_t at_ = 0;
  std::set<std::string> keys_;  // of a protodb
};

// What the blobs are called in the database, or why they cannot be.
Result<std::map<std::string, std::string>> NamesFor(
    const std::map<std::string, Blob>& blobs, const DbSaveOptions& options) {
  if (!options.strip_prefix.empty() && !options.blob_name_overrides.empty()) {
    return Status::InvalidArgument(
        "strip_prefix and blob_name_overrides exclude each other");
  }
  for (const auto& [name, other] : options.blob_name_overrides) {
    if (!blobs.contains(name)) {
      return Status::InvalidArgument("no blob '" + name + "' to call '" +
                                     other + "'");
    }
  }
  std::map<std::string, std::string> names;
  std::set<std::string> used;
  for (const auto& [name, blob] : blobs) {
    const auto other = options.blob_name_overrides.find(name);
    const std::string chosen = other != options.blob_name_overrides.end()
                                   ? other->second
                                   : Stripped(name, options.strip_prefix);
    if (!used.insert(chosen).second) {
      return Status::InvalidArgument("two blobs of the name '" + chosen + "'");
    }
    if (chosen.find(kChunkMark) != std::string::npos) {
      return Status::InvalidArgument("blob '" + chosen +
                                     "': '#%' in a name ends it");
    }
    names.emplace(name, chosen);
  }
  return names;
}

SerializationOptions OptionsFor(const DbSaveOptions& options) {
  SerializationOptions chosen = options.options;
  const bool whole = options.type == DbType::kProtodb;
  chosen.options.emplace_back();  // for names that no other covers
  for (BlobSerializationOptions& option : chosen.options) {
    // The argument means the opposite of the option.
    if (options.chunk_size) {
      const int64_t size = *options.chunk_size;
      option.chunk_size = size == 0 ? -1 : (size == -1 ? 0 : size);
    }
    if (whole) option.chunk_size = -1;
  }
  return chosen;
}

Result<ByteSource> SourceOf(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(auto adapter, FileAdapter::Open(path));
  return ByteSource(std::move(adapter));
}

Result<std::string> Fetch(const ByteSource& source, Extent extent) {
  std::string bytes(extent.bytes, '\0');
  CAISSON_RETURN_IF_ERROR(source.ReadExact(
      extent.offset, std::as_writable_bytes(std::span(bytes)), "record"));
  return bytes;
}

Status EachOfMinidb(const ByteSource& source,
                    const SerializationAcceptor& take) {
  MinidbWalk walk(source);
  while (true) {
    CAISSON_ASSIGN_OR_RETURN(const auto record, walk.Next());
    if (!record) return Status::Ok();
    CAISSON_ASSIGN_OR_RETURN(std::string value, Fetch(source, record->value));
    CAISSON_RETURN_IF_ERROR(take(record->key, std::move(value)));
  }
}

// The values become those that a minidb has.
Status EachOfProtodb(const ByteSource& source, bool text,
                     const SerializationAcceptor& take) {
  CAISSON_ASSIGN_OR_RETURN(const std::string bytes,
                           Fetch(source, {0, source.size()}));
  CAISSON_ASSIGN_OR_RETURN(const auto tensors, text ? ParseTensorsText(bytes)
                                                    : DecodeTensors(bytes));
  for (const TensorMessage& tensor : tensors) {
    BlobMessage blob;
    blob.name = tensor.name.value_or(std::string());
    blob.type = "Tensor";
    blob.tensor = tensor;
    CAISSON_ASSIGN_OR_RETURN(std::string value, Encode(blob));
    CAISSON_RETURN_IF_ERROR(take(*blob.name, std::move(value)));
  }
  return Status::Ok();
}

Status EachOf(const ByteSource& source, Form form,
              const SerializationAcceptor& take) {
  switch (form) {
    case Form::kMinidb:
      return EachOfMinidb(source, take);
    case Form::kProtodb:
    case Form::kProtodbText:
      return EachOfProtodb(source, form == Form::kProtodbText, take);
    default:
      return Status::Unsupported(source.name() + ": a " +
                                 std::string(Name(form)) + ", no database");
  }
}

Result<Form> FormOf(const ByteSource& source) {
  auto form = RecogniseForm(source);
  if (!form) form = FormOfSuffix(source.name());
  if (form) return *form;
  return Status::Unsupported(source.name() + ": no database of Caffe2's");
}

}  // namespace

Status SaveBlobs(const std::string& path,
                 const std::map<std::string, Blob>& blobs,
                 const DbSaveOptions& options) {
  const auto names = NamesFor(blobs, options);
  if (!names) return names.error().WithContext(path);
  AtomicFileOptions atomic;
  atomic.sync = options.sync;
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, atomic));
  DbWriter writer(std::move(file), options.type);
  if (options.append) CAISSON_RETURN_IF_ERROR(writer.Copy(path));
  const SerializationOptions chosen = OptionsFor(options);
  for (const auto& [name, blob] : blobs) {
    const Status saved = SerializeBlob(
        blob, names->at(name),
        [&](const std::string& key, std::string data) {
          return writer.Put(key, data);
        },
        chosen);
    if (!saved.ok()) return saved.WithContext(path);
  }
  return writer.Commit();
}

Result<std::map<std::string, Blob>> LoadBlobs(
    const std::vector<std::string>& paths, const DbLoadOptions& options) {
  const std::set<std::string> wanted(options.source_blob_names.begin(),
                                     options.source_blob_names.end());
  std::map<std::string, Blob> blobs;
  std::set<std::string> seen;  // names in the databases
  for (const std::string& path : paths) {
    CAISSON_ASSIGN_OR_RETURN(const ByteSource source, SourceOf(path));
    CAISSON_ASSIGN_OR_RETURN(const Form form, FormOf(source));
    // Contradictions are found before a chunk takes memory for its tensor.
    CAISSON_RETURN_IF_ERROR(ParseCaffe2(source, form).status());
    std::set<std::string> here;
    const auto take = [&](const std::string& key, std::string value) {
      const std::string name(BlobNameOf(key));
      if (seen.contains(name)) {
        return Status::Corrupt(path + ": duplicate key '" + name +
                               "', which another database has");
      }
      here.insert(name);
      if (!wanted.empty() && !wanted.contains(name)) return Status::Ok();
      CAISSON_ASSIGN_OR_RETURN(BlobMessage proto, DecodeBlob(value));
      if (proto.tensor && !options.keep_device) {
        proto.tensor->device_detail.emplace().device_type = kDeviceCpu;
      }
      const std::string target =
          options.add_prefix + Stripped(name, options.strip_prefix);
      return DeserializeBlob(proto, &blobs[target]).WithContext(path);
    };
    CAISSON_RETURN_IF_ERROR(EachOf(source, form, take));
    seen.merge(here);
  }
  if (options.allow_incomplete) return blobs;
  for (const std::string& name : wanted) {
    if (!seen.contains(name)) return Status::NotFound("no blob '" + name + "'");
  }
  return blobs;
}

Status ForEachRecord(const std::string& path,
                     const SerializationAcceptor& take) {
  CAISSON_ASSIGN_OR_RETURN(const ByteSource source, SourceOf(path));
  // A minidb's values may be anything.
  if (path.ends_with(".minidb")) return EachOfMinidb(source, take);
  CAISSON_ASSIGN_OR_RETURN(const Form form, FormOf(source));
  return EachOf(source, form, take);
}

}  // namespace caisson::caffe2
