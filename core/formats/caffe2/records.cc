// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/records.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/endian.h"
#include "core/base/status_macros.h"
#include "core/formats/caffe2/bfloat16.h"

namespace caisson::caffe2 {
namespace {

constexpr size_t kMaxText = size_t{1} << 20;  // of names

// Reads one message's fields into a record.
class TensorWalk {
 public:
  TensorWalk(const ByteSource& source, Extent extent, const std::string& what)
      : source_(source), what_(what), wire_(source, extent, what) {}

  Result<TensorRecord> Run() {
    while (!wire_.done()) {
      CAISSON_ASSIGN_OR_RETURN(const Tag tag, wire_.Next());
      CAISSON_RETURN_IF_ERROR(Take(tag));
    }
    return std::move(record_);
  }

 private:
  Status Take(Tag tag) {
    TensorMessage& fields = record_.fields;
    switch (static_cast<Field>(tag.field)) {
      case Field::kDims:
        return TakeDims(tag.type);
      case Field::kDataType: {
        if (tag.type != WireType::kVarint) break;
        CAISSON_ASSIGN_OR_RETURN(const uint64_t number, wire_.Varint());
        // proto2: an unknown number is a field that is not there.
        const auto type = static_cast<int32_t>(number);
        if (type >= 0 && type <= 15 && type != 11) {
          fields.data_type = static_cast<DataType>(type);
        }
        return Status::Ok();
      }
      case Field::kName: {
        if (tag.type != WireType::kBytes) break;
        CAISSON_ASSIGN_OR_RETURN(fields.name, wire_.Text(kMaxText));
        return Status::Ok();
      }
      case Field::kDeviceDetail:
        if (tag.type != WireType::kBytes) break;
        if (fields.device_detail) record_.plain = false;
        return TakeDevice();
      case Field::kSegment:
        if (tag.type != WireType::kBytes) break;
        if (fields.segment) record_.plain = false;
        return TakeSegment();
      case Field::kDataFormat: {
        if (tag.type != WireType::kVarint) break;
        CAISSON_ASSIGN_OR_RETURN(const uint64_t format, wire_.Varint());
        fields.data_format = static_cast<uint32_t>(format);
        return Status::Ok();
      }
      case Field::kStringData: {
        if (tag.type != WireType::kBytes) break;
        CAISSON_ASSIGN_OR_RETURN(const Extent extent, wire_.Bytes());
        if (record_.payload != Field::kStringData) {
          return SetPayload(Field::kStringData, extent);
        }
        return Status::Ok();
      }
      case Field::kFloatData:
      case Field::kInt32Data:
      case Field::kByteData:
      case Field::kDoubleData:
      case Field::kInt64Data:
      case Field::kRawData: {
        if (tag.type != WireType::kBytes) {
          record_.plain = false;  // one element of an unpacked list
          break;
        }
        CAISSON_ASSIGN_OR_RETURN(const Extent extent, wire_.Bytes());
        return SetPayload(static_cast<Field>(tag.field), extent);
      }
      default:
        break;
    }
    return wire_.Skip(tag.type);
  }

  Status SetPayload(Field field, Extent extent) {
    if (record_.payload != Field::kNone) record_.plain = false;
    record_.payload = field;
    record_.extent = extent;
    return Status::Ok();
  }

  Status TakeDims(WireType type) {
    if (type == WireType::kVarint) {
      CAISSON_ASSIGN_OR_RETURN(const uint64_t size, wire_.Varint());
      return AddDim(size);
    }
    if (type != WireType::kBytes) return wire_.Skip(type);
    CAISSON_ASSIGN_OR_RETURN(const Extent packed, wire_.Bytes());
    WireReader sizes(source_, packed, what_);
    while (!sizes.done()) {
      CAISSON_ASSIGN_OR_RETURN(const uint64_t size, sizes.Varint());
      CAISSON_RETURN_IF_ERROR(AddDim(size));
    }
    return Status::Ok();
  }

  Status AddDim(uint64_t size) {
    if (record_.fields.dims.size() == kMaxDims) {
      return Status::Unsupported(source_.name() + ": " + what_ +
                                 ": more than 64 dimensions");
    }
    record_.fields.dims.push_back(static_cast<int64_t>(size));
    return Status::Ok();
  }

  Status TakeDevice() {
    CAISSON_ASSIGN_OR_RETURN(const Extent extent, wire_.Bytes());
    WireReader wire(source_, extent, what_);
    DeviceMessage device;
    while (!wire.done()) {
      CAISSON_ASSIGN_OR_RETURN(const Tag tag, wire.Next());
      if (tag.type != WireType::kVarint || tag.field > 2) {
        CAISSON_RETURN_IF_ERROR(wire.Skip(tag.type));
        continue;
      }
      CAISSON_ASSIGN_OR_RETURN(const uint64_t value, wire.Varint());
      const auto number = static_cast<int32_t>(value);
      (tag.field == 1 ? device.device_type : device.device_id) = number;
    }
    record_.fields.device_detail = std::move(device);
    return Status::Ok();
  }

  Status TakeSegment() {
    CAISSON_ASSIGN_OR_RETURN(const Extent extent, wire_.Bytes());
    WireReader wire(source_, extent, what_);
    std::optional<int64_t> ends[2];
    while (!wire.done()) {
      CAISSON_ASSIGN_OR_RETURN(const Tag tag, wire.Next());
      if (tag.type != WireType::kVarint || tag.field > 2) {
        CAISSON_RETURN_IF_ERROR(wire.Skip(tag.type));
        continue;
      }
      CAISSON_ASSIGN_OR_RETURN(const uint64_t value, wire.Varint());
      ends[tag.field - 1] = static_cast<int64_t>(value);
    }
    if (!ends[0] || !ends[1]) return wire.Corrupt("a segment without an end");
    record_.fields.segment = {*ends[0], *ends[1]};
    return Status::Ok();
  }

  const ByteSource& source_;
  const std::string& what_;
  WireReader wire_;
  TensorRecord record_;
};

// Whether byte_data may hold the type: formats.md 5.2.
bool MayBeBytes(DType dtype) {
  return dtype != DType::kInt32 && ListOf(dtype) == Field::kInt32Data;
}

Status WrongSize(uint64_t expected, const std::string& found) {
  return Status::Corrupt("incorrect proto field size: expected " +
                         std::to_string(expected) + " elements, found " +
                         found);
}

// Elements of a list, each cast to T.
template <class T, class List>
std::string Cast(const List& list) {
  std::string bytes(list.size() * sizeof(T), '\0');
  for (size_t i = 0; i < list.size(); ++i) {
    const T value = static_cast<T>(list[i]);
    std::memcpy(&bytes[i * sizeof(T)], &value, sizeof(T));
  }
  return bytes;
}

std::string FromInt32(DType dtype, const std::vector<int32_t>& list) {
  switch (ByteWidth(dtype)) {
    case 1:
      return dtype == DType::kBool ? Cast<bool>(list) : Cast<uint8_t>(list);
    case 2:
      return Cast<uint16_t>(list);
    default:
      return Cast<int32_t>(list);
  }
}

// Little-endian elements as native ones.
std::string Native(std::string bytes, size_t width) {
  if (kNativeOrder == ByteOrder::kLittle || width == 1) return bytes;
  for (size_t at = 0; at + width <= bytes.size(); at += width) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + width));
  }
  return bytes;
}

}  // namespace

Field ListOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return Field::kFloatData;
    case DType::kFloat64:
      return Field::kDoubleData;
    case DType::kInt64:
      return Field::kInt64Data;
    case DType::kBFloat16:
      return Field::kRawData;
    default:
      return Field::kInt32Data;
  }
}

Encoding EncodingOf(Field list) {
  if (list == Field::kInt32Data) return Encoding::kVarint32;
  return list == Field::kInt64Data ? Encoding::kVarint64 : Encoding::kRaw;
}

Result<TensorRecord> WalkTensor(const ByteSource& source, Extent extent,
                                const std::string& what) {
  return TensorWalk(source, extent, what).Run();
}

Result<BlobRecord> WalkBlob(const ByteSource& source, Extent extent,
                            const std::string& what) {
  WireReader wire(source, extent, what);
  BlobRecord blob;
  while (!wire.done()) {
    CAISSON_ASSIGN_OR_RETURN(const Tag tag, wire.Next());
    const bool bytes = tag.type == WireType::kBytes;
    if (tag.field == 1 && bytes) {
      CAISSON_ASSIGN_OR_RETURN(blob.name, wire.Text(kMaxText));
    } else if (tag.field == 2 && bytes) {
      CAISSON_ASSIGN_OR_RETURN(blob.type, wire.Text(kMaxText));
    } else if (tag.field == 3 && bytes) {
      if (blob.tensor) blob.plain = false;
      CAISSON_ASSIGN_OR_RETURN(const Extent tensor, wire.Bytes());
      CAISSON_ASSIGN_OR_RETURN(blob.tensor, WalkTensor(source, tensor, what));
    } else if (tag.field == 4 && bytes) {
      CAISSON_ASSIGN_OR_RETURN(blob.content, wire.Bytes());
    } else if (tag.field == 5 && bytes) {
      blob.qtensor = true;
      CAISSON_RETURN_IF_ERROR(wire.Skip(tag.type));
    } else if ((tag.field == 6 || tag.field == 7) &&
               tag.type == WireType::kVarint) {
      CAISSON_ASSIGN_OR_RETURN(const uint64_t number, wire.Varint());
      (tag.field == 6 ? blob.num_chunks : blob.chunk_id) =
          static_cast<int32_t>(number);
    } else {
      CAISSON_RETURN_IF_ERROR(wire.Skip(tag.type));
    }
  }
  return blob;
}

Result<Chunk> ChunkOf(const TensorMessage& fields) {
  Chunk chunk;
  CAISSON_ASSIGN_OR_RETURN(chunk.total, Numel(fields.dims));
  chunk.shape = fields.dims;
  chunk.format = fields.data_format.value_or(kFormatProtobuf);
  const DataType type = fields.data_type.value_or(DataType::kUndefined);
  const bool undefined = type == DataType::kUndefined;
  if (undefined && chunk.total == 0) {
    chunk.shape = {0};  // what was never filled: formats.md 5.4
    return chunk;
  }
  if (!fields.data_type) {
    return Status::Corrupt("cannot deserialize tensor: unrecognized data type");
  }
  if (type == DataType::kString || undefined) {
    return Status::Unsupported(undefined ? "a tensor of blobs"
                                         : "a tensor of strings");
  }
  const std::optional<DType> dtype = DTypeOf(type);
  if (!dtype) {
    return Status::Unsupported("a tensor of the data type " +
                               std::to_string(static_cast<int32_t>(type)));
  }
  chunk.dtype = *dtype;
  if (chunk.format != kFormatProtobuf &&
      !(chunk.format == kFormatBFloat16 && type == DataType::kFloat)) {
    return Status::Corrupt("unsupported serialization format " +
                           std::to_string(chunk.format));
  }
  if (chunk.format == kFormatBFloat16) chunk.dtype = DType::kBFloat16;
  chunk.end = chunk.total;
  if (!fields.segment) return chunk;
  chunk.segment = true;
  const auto [begin, end] = *fields.segment;
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > chunk.total) {
    return Status::Corrupt("a segment [" + std::to_string(begin) + ", " +
                           std::to_string(end) + ") of " +
                           std::to_string(chunk.total) + " elements");
  }
  chunk.begin = static_cast<uint64_t>(begin);
  chunk.end = static_cast<uint64_t>(end);
  return chunk;
}

Result<Piece> PieceOf(const Chunk& chunk, const TensorRecord& record) {
  const uint64_t elems = chunk.end - chunk.begin;
  const uint64_t stored = record.extent.bytes;
  Piece piece;
  piece.offset = record.extent.offset;
  piece.stored_bytes = stored;
  piece.first_elem = chunk.begin;
  piece.elems = elems;
  if (record.payload == Field::kNone || stored == 0) {
    if (elems > 0) return WrongSize(elems, "none");
    return piece;
  }
  const bool legacy = record.fields.data_type == DataType::kByte;
  const bool bytes =
      record.payload == Field::kByteData && MayBeBytes(chunk.dtype);
  if (legacy ? !bytes : !bytes && record.payload != ListOf(chunk.dtype)) {
    return Status::Corrupt("a payload in the field " +
                           std::to_string(static_cast<int>(record.payload)) +
                           ", which the data type has not");
  }
  if (record.payload == Field::kInt32Data ||
      record.payload == Field::kInt64Data) {
    // What they are exactly is known when they are decoded.
    if (elems > stored || elems < (stored + 9) / 10) {
      return WrongSize(elems, std::to_string(stored) + " bytes of varints");
    }
    piece.encoding = EncodingOf(record.payload);
    piece.order = kNativeOrder;
    return piece;
  }
  const size_t width = ByteWidth(chunk.dtype);
  if (stored % width != 0 || stored / width != elems) {
    return WrongSize(elems, std::to_string(stored) + " bytes");
  }
  return piece;
}

Result<std::string> ElementsOf(const Chunk& chunk, const TensorMessage& tensor,
                               bool widen) {
  const uint64_t elems = chunk.end - chunk.begin;
  const bool half = chunk.format == kFormatBFloat16;
  std::string bytes;
  size_t width = ByteWidth(chunk.dtype);
  const bool legacy = tensor.data_type == DataType::kByte;
  const int payloads = !tensor.float_data.empty() + !tensor.int32_data.empty() +
                       !tensor.int64_data.empty() +
                       !tensor.double_data.empty() +
                       (tensor.byte_data && !tensor.byte_data->empty()) +
                       (tensor.raw_data && !tensor.raw_data->empty());
  if (payloads > 1) return Status::Corrupt("a tensor with two payloads");
  const Field list = ListOf(chunk.dtype);
  if (half) {
    const std::string raw = tensor.raw_data.value_or(std::string());
    if (raw.size() != 2 * elems) {
      return WrongSize(elems, std::to_string(raw.size()) + " bytes");
    }
    const std::string halves = Native(raw, 2);
    return widen ? FromBFloat16(halves) : halves;
  }
  if (MayBeBytes(chunk.dtype) && (legacy || tensor.byte_data)) {
    bytes = Native(tensor.byte_data.value_or(std::string()), width);
  } else if (list == Field::kFloatData) {
    bytes = Cast<float>(tensor.float_data);
  } else if (list == Field::kDoubleData) {
    bytes = Cast<double>(tensor.double_data);
  } else if (list == Field::kInt64Data) {
    bytes = Cast<int64_t>(tensor.int64_data);
  } else {
    bytes = FromInt32(chunk.dtype, tensor.int32_data);
  }
  if (bytes.size() % width != 0 || bytes.size() / width != elems) {
    return WrongSize(elems, std::to_string(bytes.size() / width));
  }
  return bytes;
}

}  // namespace caisson::caffe2
