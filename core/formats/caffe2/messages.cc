// SPDX-License-Identifier: Apache-2.0
//
// Between the plain structs and protobuf's classes, which only this folder
// sees.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <climits>
#include <type_traits>
#include <utility>

#include "caisson/caffe2_messages.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/formats/caffe2/caffe2.pb.h"

namespace caisson::caffe2 {
namespace {

namespace pb = google::protobuf;

// Text from a file: its first error is kept, none is printed.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = "line " + std::to_string(line + 1) + ", column " +
            std::to_string(column + 1) + ": " + message;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <class List, class Repeated>
void Take(const Repeated& from, List* to) {
  to->assign(from.begin(), from.end());
}

template <class List, class Repeated>
void Give(const List& from, Repeated* to) {
  to->Add(from.begin(), from.end());
}

DeviceMessage From(const DeviceOption& proto) {
  DeviceMessage device;
  if (proto.has_device_type()) device.device_type = proto.device_type();
  if (proto.has_device_id()) device.device_id = proto.device_id();
  if (proto.has_random_seed()) device.random_seed = proto.random_seed();
  if (proto.has_node_name()) device.node_name = proto.node_name();
  if (proto.has_numa_node_id()) device.numa_node_id = proto.numa_node_id();
  Take(proto.extra_info(), &device.extra_info);
  return device;
}

void To(const DeviceMessage& device, DeviceOption* proto) {
  if (device.device_type) proto->set_device_type(*device.device_type);
  if (device.device_id) proto->set_device_id(*device.device_id);
  if (device.random_seed) proto->set_random_seed(*device.random_seed);
  if (device.node_name) proto->set_node_name(*device.node_name);
  if (device.numa_node_id) proto->set_numa_node_id(*device.numa_node_id);
  for (const std::string& info : device.extra_info) proto->add_extra_info(info);
}

template <class Proto>
std::string UnknownOf(const Proto& proto) {
  std::string bytes;
  static_cast<void>(proto.unknown_fields().SerializeToString(&bytes));
  return bytes;
}

template <class Proto>
void SetUnknown(const std::string& bytes, Proto* proto) {
  if (!bytes.empty()) proto->mutable_unknown_fields()->ParseFromString(bytes);
}

TensorMessage From(TensorProto&& proto) {
  TensorMessage tensor;
  Take(proto.dims(), &tensor.dims);
  if (proto.has_data_type()) {
    tensor.data_type = static_cast<DataType>(proto.data_type());
  }
  Take(proto.float_data(), &tensor.float_data);
  Take(proto.int32_data(), &tensor.int32_data);
  if (proto.has_byte_data()) {
    tensor.byte_data = std::move(*proto.mutable_byte_data());
  }
  Take(proto.string_data(), &tensor.string_data);
  if (proto.has_name()) tensor.name = proto.name();
  if (proto.has_device_detail()) {
    tensor.device_detail = From(proto.device_detail());
  }
  Take(proto.double_data(), &tensor.double_data);
  Take(proto.int64_data(), &tensor.int64_data);
  if (proto.has_segment()) {
    tensor.segment = {proto.segment().begin(), proto.segment().end()};
  }
  if (proto.has_raw_data()) {
    tensor.raw_data = std::move(*proto.mutable_raw_data());
  }
  if (proto.has_data_format()) tensor.data_format = proto.data_format();
  tensor.unknown_fields = UnknownOf(proto);
  return tensor;
}

void To(const TensorMessage& tensor, TensorProto* proto) {
  Give(tensor.dims, proto->mutable_dims());
  if (tensor.data_type) {
    proto->set_data_type(static_cast<TensorProto::DataType>(
        static_cast<int>(*tensor.data_type)));
  }
  Give(tensor.float_data, proto->mutable_float_data());
  Give(tensor.int32_data, proto->mutable_int32_data());
  if (tensor.byte_data) proto->set_byte_data(*tensor.byte_data);
  for (const std::string& text : tensor.string_data) {
    proto->add_string_data(text);
  }
  if (tensor.name) proto->set_name(*tensor.name);
  if (tensor.device_detail) {
    To(*tensor.device_detail, proto->mutable_device_detail());
  }
  Give(tensor.double_data, proto->mutable_double_data());
  Give(tensor.int64_data, proto->mutable_int64_data());
  if (tensor.segment) {
    proto->mutable_segment()->set_begin(tensor.segment->begin);
    proto->mutable_segment()->set_end(tensor.segment->end);
  }
  if (tensor.raw_data) proto->set_raw_data(*tensor.raw_data);
  if (tensor.data_format) proto->set_data_format(*tensor.data_format);
  SetUnknown(tensor.unknown_fields, proto);
}

QTensorMessage From(const QTensorProto& proto) {
  QTensorMessage tensor;
  Take(proto.dims(), &tensor.dims);
  tensor.precision = proto.precision();
  tensor.scale = proto.scale();
  tensor.bias = proto.bias();
  tensor.is_signed = proto.is_signed();
  Take(proto.data(), &tensor.data);
  if (proto.has_name()) tensor.name = proto.name();
  if (proto.has_data_type()) {
    tensor.data_type = static_cast<DataType>(proto.data_type());
  }
  Take(proto.scales(), &tensor.scales);
  Take(proto.biases(), &tensor.biases);
  if (proto.has_axis()) tensor.axis = proto.axis();
  if (proto.has_is_multiparam()) tensor.is_multiparam = proto.is_multiparam();
  return tensor;
}

void To(const QTensorMessage& tensor, QTensorProto* proto) {
  Give(tensor.dims, proto->mutable_dims());
  proto->set_precision(tensor.precision);
  proto->set_scale(tensor.scale);
  proto->set_bias(tensor.bias);
  proto->set_is_signed(tensor.is_signed);
  Give(tensor.data, proto->mutable_data());
  if (tensor.name) proto->set_name(*tensor.name);
  if (tensor.data_type) {
    proto->set_data_type(static_cast<TensorProto::DataType>(
        static_cast<int>(*tensor.data_type)));
  }
  Give(tensor.scales, proto->mutable_scales());
  Give(tensor.biases, proto->mutable_biases());
  if (tensor.axis) proto->set_axis(*tensor.axis);
  if (tensor.is_multiparam) proto->set_is_multiparam(*tensor.is_multiparam);
}

BlobMessage From(BlobProto&& proto) {
  BlobMessage blob;
  if (proto.has_name()) blob.name = proto.name();
  if (proto.has_type()) blob.type = proto.type();
  if (proto.has_tensor())
    blob.tensor = From(std::move(*proto.mutable_tensor()));
  if (proto.has_content()) blob.content = std::move(*proto.mutable_content());
  if (proto.has_qtensor()) blob.qtensor = From(proto.qtensor());
  if (proto.has_content_num_chunks()) {
    blob.content_num_chunks = proto.content_num_chunks();
  }
  if (proto.has_content_chunk_id()) {
    blob.content_chunk_id = proto.content_chunk_id();
  }
  blob.unknown_fields = UnknownOf(proto);
  return blob;
}

void To(const BlobMessage& blob, BlobProto* proto) {
  if (blob.name) proto->set_name(*blob.name);
  if (blob.type) proto->set_type(*blob.type);
  if (blob.tensor) To(*blob.tensor, proto->mutable_tensor());
  if (blob.content) proto->set_content(*blob.content);
  if (blob.qtensor) To(*blob.qtensor, proto->mutable_qtensor());
  if (blob.content_num_chunks) {
    proto->set_content_num_chunks(*blob.content_num_chunks);
  }
  if (blob.content_chunk_id) {
    proto->set_content_chunk_id(*blob.content_chunk_id);
  }
  SetUnknown(blob.unknown_fields, proto);
}

template <class Proto>
Result<std::string> Bytes(const Proto& proto) {
  if (proto.ByteSizeLong() > INT_MAX) {
    return Status::InvalidArgument("a message of " +
                                   std::to_string(proto.ByteSizeLong()) +
                                   " bytes, protobuf holds less than 2 GiB");
  }
  return proto.SerializeAsString();
}

template <class Proto>
Status Parse(std::string_view bytes, Proto* proto) {
  // What ParseFromArray() does, which prints what it refuses.
  const bool parsed = bytes.size() <= INT_MAX &&
                      proto->ParsePartialFromArray(
                          bytes.data(), static_cast<int>(bytes.size())) &&
                      proto->IsInitialized();
  if (parsed) return Status::Ok();
  return Status::Corrupt("no message " + proto->GetDescriptor()->name());
}

template <class Proto>
Status ParseText(std::string_view text, Proto* proto) {
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(100);
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (text.size() <= INT_MAX && parser.Parse(&stream, proto)) {
    return Status::Ok();
  }
  return Status::Corrupt("no text of a " + proto->GetDescriptor()->name() +
                         ": " + error.text());
}

template <class Proto>
Result<std::string> PrintText(const Proto& proto) {
  std::string text;
  if (pb::TextFormat::PrintToString(proto, &text)) return text;
  return Status::InvalidArgument("no text of a " +
                                 proto.GetDescriptor()->name());
}

}  // namespace

Result<std::string> Encode(const BlobMessage& blob) {
  BlobProto proto;
  To(blob, &proto);
  return Bytes(proto);
}

Result<std::string> Encode(const TensorMessage& tensor) {
  TensorProto proto;
  To(tensor, &proto);
  return Bytes(proto);
}

Result<std::string> EncodeTensors(const std::vector<TensorMessage>& tensors) {
  TensorProtos protos;
  for (const TensorMessage& tensor : tensors) To(tensor, protos.add_protos());
  return Bytes(protos);
}

Result<BlobMessage> DecodeBlob(std::string_view bytes) {
  BlobProto proto;
  CAISSON_RETURN_IF_ERROR(Parse(bytes, &proto));
  return From(std::move(proto));
}

Result<TensorMessage> DecodeTensor(std::string_view bytes) {
  TensorProto proto;
  CAISSON_RETURN_IF_ERROR(Parse(bytes, &proto));
  return From(std::move(proto));
}

Result<std::vector<TensorMessage>> DecodeTensors(std::string_view bytes) {
  TensorProtos protos;
  CAISSON_RETURN_IF_ERROR(Parse(bytes, &protos));
  std::vector<TensorMessage> tensors;
  for (TensorProto& proto : *protos.mutable_protos()) {
    tensors.push_back(From(std::move(proto)));
  }
  return tensors;
}

Result<std::string> TextOf(const BlobMessage& blob) {
  BlobProto proto;
  To(blob, &proto);
  return PrintText(proto);
}

Result<std::string> TextOf(const TensorMessage& tensor) {
  TensorProtos protos;
  To(tensor, protos.add_protos());
  return PrintText(protos);
}

Result<BlobMessage> ParseBlobText(std::string_view text) {
  BlobProto proto;
  CAISSON_RETURN_IF_ERROR(ParseText(text, &proto));
  return From(std::move(proto));
}

Result<std::vector<TensorMessage>> ParseTensorsText(std::string_view text) {
  TensorProtos protos;
  CAISSON_RETURN_IF_ERROR(ParseText(text, &protos));
  std::vector<TensorMessage> tensors;
  for (TensorProto& proto : *protos.mutable_protos()) {
    tensors.push_back(From(std::move(proto)));
  }
  return tensors;
}

DataType GetDataType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kBFloat16:
      return DataType::kFloat;
    case DType::kInt32:
    case DType::kQInt32:
      return DataType::kInt32;
    case DType::kBool:
      return DataType::kBool;
    case DType::kUInt8:
    case DType::kQUInt8:
      return DataType::kUInt8;
    case DType::kInt8:
    case DType::kQInt8:
      return DataType::kInt8;
    case DType::kUInt16:
      return DataType::kUInt16;
    case DType::kInt16:
      return DataType::kInt16;
    case DType::kInt64:
      return DataType::kInt64;
    case DType::kFloat16:
      return DataType::kFloat16;
    case DType::kFloat64:
      return DataType::kDouble;
    default:
      return DataType::kUndefined;
  }
}

std::optional<DType> DTypeOf(DataType type) {
  switch (type) {
    case DataType::kFloat:
      return DType::kFloat32;
    case DataType::kInt32:
      return DType::kInt32;
    case DataType::kByte:
    case DataType::kUInt8:
      return DType::kUInt8;
    case DataType::kBool:
      return DType::kBool;
    case DataType::kInt8:
      return DType::kInt8;
    case DataType::kUInt16:
      return DType::kUInt16;
    case DataType::kInt16:
      return DType::kInt16;
    case DataType::kInt64:
      return DType::kInt64;
    case DataType::kFloat16:
      return DType::kFloat16;
    case DataType::kDouble:
      return DType::kFloat64;
    default:
      return std::nullopt;
  }
}

Result<uint64_t> Numel(const std::vector<int64_t>& dims) {
  const std::optional<uint64_t> elems = CheckedElems(dims);
  if (elems) return *elems;
  return Status::Corrupt("dimensions that are negative or overflow");
}

TensorMessage EmptyTensor(std::vector<int64_t> dims, DataType type) {
  TensorMessage tensor;
  tensor.dims = std::move(dims);
  tensor.data_type = type;
  return tensor;
}

}  // namespace caisson::caffe2
