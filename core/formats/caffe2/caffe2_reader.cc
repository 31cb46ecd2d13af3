// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/caffe2_reader.h"

#include <climits>
#include <exception>
#include <span>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/caffe2/blob_layout.h"
#include "core/formats/caffe2/minidb.h"
#include "core/formats/caffe2/net_def.h"
#include "core/formats/caffe2/records.h"

namespace caisson::caffe2 {
namespace {

Extent Whole(const ByteSource& source) { return {0, source.size()}; }

bool HasTypeOfBlob(const Result<BlobRecord>& blob) {
  return blob && blob->type &&
         (blob->tensor || blob->content || blob->qtensor || blob->num_chunks);
}

bool IsMinidb(const ByteSource& source) {
  MinidbWalk walk(source);
  const auto record = walk.Next();
  return record && *record &&
         HasTypeOfBlob(WalkBlob(source, (*record)->value, "record"));
}

bool IsBlob(const ByteSource& source) {
  return HasTypeOfBlob(WalkBlob(source, Whole(source), "blob"));
}

// The extent of the first field 1, if the file begins with one.
std::optional<Extent> FirstField(const ByteSource& source) {
  WireReader wire(source, Whole(source), "message");
  const auto tag = wire.Next();
  if (!tag || tag->field != 1 || tag->type != WireType::kBytes) {
    return std::nullopt;
  }
  const auto extent = wire.Bytes();
  return extent ? std::optional(*extent) : std::nullopt;
}

bool IsProtodb(const ByteSource& source) {
  const std::optional<Extent> first = FirstField(source);
  if (!first) return false;
  const auto tensor = WalkTensor(source, *first, "tensor");
  return tensor &&
         (tensor->fields.data_type || tensor->payload != Field::kNone);
}

// Whether the fields of the message at `extent` are among the first `most`, and
// all bytes but those whose bit is set in `varints`.
bool HasFields(const ByteSource& source, Extent extent, uint32_t most,
               uint32_t varints, std::optional<Extent>* second) {
  WireReader wire(source, extent, "message");
  while (!wire.done()) {
    const auto tag = wire.Next();
    if (!tag || tag->field > most) return false;
    const bool varint = (varints >> tag->field & 1) != 0;
    if (tag->type != (varint ? WireType::kVarint : WireType::kBytes)) {
      return false;
    }
    if (tag->field == 2 && second != nullptr && !*second) {
      const auto op = wire.Bytes();
      if (!op) return false;
      *second = *op;
    } else if (!wire.Skip(tag->type).ok()) {
      return false;
    }
  }
  return true;
}

bool IsNetDef(const ByteSource& source) {
  std::optional<Extent> op;
  return HasFields(source, Whole(source), 9, 1u << 4, &op) && op &&
         HasFields(source, *op, 12, 1u << 9 | 1u << 12, nullptr) &&
         op->bytes > 0;
}

bool IsText(std::string_view name) { return name.ends_with(".pbtxt"); }

Result<std::string> ReadAll(const ByteSource& source) {
  if (source.size() > INT_MAX) {
    return Status::Unsupported(source.name() + ": a message of " +
                               std::to_string(source.size()) +
                               " bytes, protobuf reads less than 2 GiB");
  }
  std::string bytes;
  try {
    bytes.resize(source.size());
  } catch (const std::exception&) {
    return Status::OutOfMemory(source.name() + ": " +
                               std::to_string(source.size()) + " bytes");
  }
  CAISSON_RETURN_IF_ERROR(
      source.ReadExact(0, std::as_writable_bytes(std::span(bytes)), "message"));
  return bytes;
}

Status AddMinidb(const ByteSource& source, BlobLayout* blobs) {
  MinidbWalk walk(source);
  while (true) {
    CAISSON_ASSIGN_OR_RETURN(const std::optional<DbRecord> record, walk.Next());
    if (!record) return Status::Ok();
    CAISSON_ASSIGN_OR_RETURN(
        const BlobRecord blob,
        WalkBlob(source, record->value, "record '" + record->key + "'"));
    CAISSON_RETURN_IF_ERROR(blobs->AddBlob(record->key, record->value, blob));
  }
}

Status AddProtodb(const ByteSource& source, BlobLayout* blobs) {
  WireReader wire(source, Whole(source), "protodb");
  for (size_t index = 0; !wire.done(); ++index) {
    CAISSON_ASSIGN_OR_RETURN(const Tag tag, wire.Next());
    if (tag.field != 1 || tag.type != WireType::kBytes) {
      CAISSON_RETURN_IF_ERROR(wire.Skip(tag.type));
      continue;
    }
    CAISSON_ASSIGN_OR_RETURN(const Extent extent, wire.Bytes());
    const std::string position = std::to_string(index);
    CAISSON_ASSIGN_OR_RETURN(const TensorRecord tensor,
                             WalkTensor(source, extent, "tensor " + position));
    CAISSON_RETURN_IF_ERROR(blobs->AddTensor(
        tensor.fields.name.value_or(position), extent, tensor));
  }
  return Status::Ok();
}

Status AddTensors(const std::vector<TensorMessage>& tensors,
                  BlobLayout* blobs) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    CAISSON_RETURN_IF_ERROR(blobs->AddDecoded(
        tensors[i].name.value_or(std::to_string(i)), tensors[i]));
  }
  return Status::Ok();
}

Status AddNet(const ByteSource& source, const NetFills& net,
              BlobLayout* blobs) {
  for (const std::string& other : net.others) {
    blobs->AddOther(other, Whole(source));
  }
  return AddTensors(net.tensors, blobs);
}

// Text is a protodb or a net: both are tried.
Status AddText(const ByteSource& source, BlobLayout* blobs, Form* form) {
  CAISSON_ASSIGN_OR_RETURN(const std::string text, ReadAll(source));
  const auto tensors = ParseTensorsText(text);
  if (tensors) return AddTensors(*tensors, blobs);
  const auto net = ParseNet(text, true);
  if (!net) return tensors.error().WithContext(source.name());
  *form = Form::kNetDefText;
  return AddNet(source, *net, blobs);
}

Status AddSingle(const ByteSource& source, BlobLayout* blobs) {
  CAISSON_ASSIGN_OR_RETURN(const BlobRecord blob,
                           WalkBlob(source, Whole(source), "blob"));
  // A file alone has no key.
  BlobRecord named = blob;
  named.name.reset();
  const std::string name(BlobNameOf(blob.name.value_or("blob")));
  return blobs->AddBlob(name + std::string(kChunkMark), Whole(source), named);
}

}  // namespace

std::string_view Name(Form form) {
  switch (form) {
    case Form::kMinidb:
      return "minidb";
    case Form::kProtodb:
      return "protodb";
    case Form::kProtodbText:
      return "protodb_text";
    case Form::kNetDef:
      return "netdef";
    case Form::kNetDefText:
      return "netdef_text";
    case Form::kBlob:
      return "caffe2_blob";
  }
  return "unknown";
}

std::optional<Form> FormOfSuffix(std::string_view name) {
  if (name.ends_with(".minidb")) return Form::kMinidb;
  if (name.ends_with(".pb")) return Form::kProtodb;
  if (IsText(name)) return Form::kProtodbText;
  return std::nullopt;
}

std::optional<Form> RecogniseForm(const ByteSource& source) {
  if (source.size() == 0) return FormOfSuffix(source.name());
  if (IsMinidb(source)) return Form::kMinidb;
  if (IsProtodb(source)) return Form::kProtodb;
  if (IsNetDef(source)) return Form::kNetDef;
  if (IsBlob(source)) return Form::kBlob;
  if (IsText(source.name())) return Form::kProtodbText;
  return std::nullopt;
}

Result<ParsedBlobs> ParseCaffe2(const ByteSource& source, Form form) {
  BlobLayout blobs(source);
  switch (form) {
    case Form::kMinidb:
      CAISSON_RETURN_IF_ERROR(AddMinidb(source, &blobs));
      break;
    case Form::kProtodb:
      CAISSON_RETURN_IF_ERROR(AddProtodb(source, &blobs));
      break;
    case Form::kProtodbText:
    case Form::kNetDefText:
      CAISSON_RETURN_IF_ERROR(AddText(source, &blobs, &form));
      break;
    case Form::kNetDef: {
      CAISSON_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(source));
      const auto net = ParseNet(bytes, false);
      if (!net) return net.error().WithContext(source.name());
      CAISSON_RETURN_IF_ERROR(AddNet(source, *net, &blobs));
      break;
    }
    case Form::kBlob:
      CAISSON_RETURN_IF_ERROR(AddSingle(source, &blobs));
      break;
  }
  CAISSON_ASSIGN_OR_RETURN(ParsedBlobs parsed, blobs.Finish());
  parsed.layout.format = Name(form);
  return parsed;
}

}  // namespace caisson::caffe2
