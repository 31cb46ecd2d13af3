// SPDX-License-Identifier: Apache-2.0
//
// Blobs that are no plain tensors: formats.md 5.5.
#include "core/formats/caffe2/serializers.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "core/base/status_macros.h"
#include "core/formats/caffe2/records.h"
#include "core/formats/caffe2/tensor_message.h"

namespace caisson::caffe2 {
namespace {

constexpr const char* kCounterType = "std::unique_ptr<Counter<int64_t>>";

Status Refuse(const std::string& name, const std::string& problem) {
  return Status::Corrupt("blob '" + name + "': " + problem);
}

class QTensorSerializer : public BlobSerializerBase {
 public:
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions&) override {
    const QTensor& tensor = *blob.Get<QTensor>();
    BlobMessage record = RecordOf(name, "QTensor");
    QTensorMessage& proto = record.qtensor.emplace();
    proto.dims = tensor.dims;
    proto.precision = tensor.precision;
    proto.scale = tensor.scale;
    proto.bias = tensor.bias;
    proto.is_signed = tensor.is_signed;
    proto.data.assign(tensor.data.begin(), tensor.data.end());
    proto.name = name;
    return Accept(record, name, acceptor);
  }
};

class QTensorDeserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override {
    const std::string name = proto.name.value_or("");
    if (!proto.qtensor) return Refuse(name, "no qtensor");
    const QTensorMessage& from = *proto.qtensor;
    CAISSON_ASSIGN_OR_RETURN([[maybe_unused]] const uint64_t elems,
                             Numel(from.dims));
    QTensor tensor;
    tensor.dims = from.dims;
    tensor.precision = from.precision;
    tensor.scale = from.scale;
    tensor.bias = from.bias;
    tensor.is_signed = from.is_signed;
    for (const int32_t byte : from.data) {
      if (byte < 0 || byte > 255) return Refuse(name, "data that is no byte");
      tensor.data.push_back(static_cast<uint8_t>(byte));
    }
    blob->Set(std::move(tensor));
    return Status::Ok();
  }
};

class Int8Serializer : public BlobSerializerBase {
 public:
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions&) override {
    const Int8TensorCPU& tensor = *blob.Get<Int8TensorCPU>();
    const DType dtype = tensor.t.spec.dtype;
    if (!tensor.t.Validate().ok() || !tensor.t.contiguous() ||
        !tensor.t.storage->resident() ||
        !tensor.t.storage->region.device.is_cpu() ||
        (dtype != DType::kUInt8 && dtype != DType::kInt32)) {
      return Status::Unsupported("blob '" + name +
                                 "': expected a contiguous tensor of uint8 or "
                                 "int32 in memory of the host");
    }
    BlobMessage record = RecordOf(name, "Int8TensorCPU");
    QTensorMessage& proto = record.qtensor.emplace();
    proto.dims = tensor.t.spec.shape;
    proto.precision = 8;
    proto.scale = tensor.scale;
    proto.bias = tensor.zero_point;
    proto.is_signed = false;
    proto.data =
        MessageOf(tensor.t, name, 0, tensor.t.spec.elems(), kFormatProtobuf)
            .int32_data;
    proto.name = name;
    proto.data_type = GetDataType(dtype);
    return Accept(record, name, acceptor);
  }
};

class Int8Deserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override {
    const std::string name = proto.name.value_or("");
    if (!proto.qtensor) return Refuse(name, "no qtensor");
    const QTensorMessage& from = *proto.qtensor;
    const DataType type = from.data_type.value_or(DataType::kInt32);
    if (type != DataType::kUInt8 && type != DataType::kInt32) {
      return Refuse(name, "expected UINT8 or INT32");
    }
    TensorMessage elems;
    elems.name = name;
    elems.dims = from.dims;
    elems.data_type = type;
    elems.int32_data = from.data;
    CAISSON_ASSIGN_OR_RETURN(TensorView view, ViewOf(elems));
    Int8TensorCPU tensor;
    tensor.scale = from.scale;
    tensor.zero_point = static_cast<int32_t>(
        std::clamp(from.bias, -2147483648.0, 2147483647.0));
    tensor.t = std::move(view);
    blob->Set(std::move(tensor));
    return Status::Ok();
  }
};

class CounterSerializer : public BlobSerializerBase {
 public:
  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions&) override {
    BlobMessage record = RecordOf(name, kCounterType);
    TensorMessage& tensor = record.tensor.emplace();
    tensor.dims = {1};
    tensor.data_type = DataType::kInt64;
    tensor.int64_data = {blob.Get<Counter>()->value};
    return Accept(record, name, acceptor);
  }
};

class CounterDeserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override {
    if (!proto.tensor || proto.tensor->int64_data.size() != 1) {
      return Refuse(proto.name.value_or(""), "expected one count");
    }
    blob->Set(Counter{proto.tensor->int64_data[0]});
    return Status::Ok();
  }
};

// "(std::unordered_map<int64_t, int32_t>)", the parentheses as in Caffe2.
template <class Key, class Value>
std::string MapType() {
  const auto name = [](auto value) {
    return sizeof(value) == 8 ? "int64_t" : "int32_t";
  };
  return std::string("(std::unordered_map<") + name(Key()) + ", " +
         name(Value()) + ">)";
}

template <class T>
TensorMessage ListOf(const std::string& name, std::vector<T>& values) {
  const auto dtype = sizeof(T) == 8 ? DType::kInt64 : DType::kInt32;
  const TensorView view =
      DenseTensor(dtype, {static_cast<int64_t>(values.size())}, values.data());
  return MessageOf(view, name, 0, values.size(), kFormatProtobuf);
}

template <class T>
Result<std::vector<T>> ValuesOf(const TensorMessage& tensor) {
  CAISSON_ASSIGN_OR_RETURN(const Chunk chunk, ChunkOf(tensor));
  CAISSON_ASSIGN_OR_RETURN(const std::string bytes, ElementsOf(chunk, tensor));
  const auto dtype = sizeof(T) == 8 ? DType::kInt64 : DType::kInt32;
  if (!bytes.empty() && chunk.dtype != dtype) {
    return Status::Corrupt("numbers of another type");
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <class Key, class Value>
class MapSerializer : public BlobSerializerBase {
 public:
  using Map = std::unordered_map<Key, Value>;

  Status Serialize(const Blob& blob, const std::string& name,
                   const SerializationAcceptor& acceptor,
                   const BlobSerializationOptions&) override {
    std::vector<Key> keys;
    std::vector<Value> values;
    for (const auto& [key, value] : *blob.Get<Map>()) keys.push_back(key);
    std::ranges::sort(keys);  // one file for one map
    for (const Key& key : keys) values.push_back(blob.Get<Map>()->at(key));
    BlobMessage record = RecordOf(name, MapType<Key, Value>());
    CAISSON_ASSIGN_OR_RETURN(
        record.content,
        EncodeTensors({ListOf(name, keys), ListOf(name, values)}));
    return Accept(record, name, acceptor);
  }
};

template <class Key, class Value>
class MapDeserializer : public BlobDeserializerBase {
 public:
  Status Deserialize(const BlobMessage& proto, Blob* blob) override {
    const std::string name = proto.name.value_or("");
    CAISSON_ASSIGN_OR_RETURN(const auto lists,
                             DecodeTensors(proto.content.value_or("")));
    if (lists.size() != 2) return Refuse(name, "expected keys and values");
    const auto keys = ValuesOf<Key>(lists[0]);
    if (!keys) return keys.error().WithContext("blob '" + name + "'");
    const auto values = ValuesOf<Value>(lists[1]);
    if (!values) return values.error().WithContext("blob '" + name + "'");
    if (keys->size() != values->size()) {
      return Refuse(name, "more keys or more values than others");
    }
    std::unordered_map<Key, Value> map;
    for (size_t i = 0; i < keys->size(); ++i) {
      map.emplace((*keys)[i], (*values)[i]);
    }
    blob->Set(std::move(map));
    return Status::Ok();
  }
};

template <class T, class Made>
void Add(Registry<TypeIdentifier, BlobSerializerBase>& registry) {
  static_cast<void>(registry.Register(
      TypeId<T>(), [] { return std::make_unique<Made>(); }, kRegistryDefault,
      "built in"));
}

template <class Made>
void Add(Registry<std::string, BlobDeserializerBase>& registry,
         const std::string& type) {
  static_cast<void>(registry.Register(
      type, [] { return std::make_unique<Made>(); }, kRegistryDefault, type));
}

template <class Key, class Value>
void AddMap(Registry<TypeIdentifier, BlobSerializerBase>& registry) {
  Add<std::unordered_map<Key, Value>, MapSerializer<Key, Value>>(registry);
}

template <class Key, class Value>
void AddMap(Registry<std::string, BlobDeserializerBase>& registry) {
  Add<MapDeserializer<Key, Value>>(registry, MapType<Key, Value>());
}

template <class Registry>
void AddMaps(Registry& registry) {
  AddMap<int64_t, int64_t>(registry);
  AddMap<int64_t, int32_t>(registry);
  AddMap<int32_t, int64_t>(registry);
  AddMap<int32_t, int32_t>(registry);
}

}  // namespace

Status StringSerializer::Serialize(const Blob& blob, const std::string& name,
                                   const SerializationAcceptor& acceptor,
                                   const BlobSerializationOptions&) {
  const std::string* text = blob.Get<std::string>();
  if (text == nullptr) {
    return Status::InvalidArgument("blob '" + name + "': no string");
  }
  BlobMessage record = RecordOf(name, "std::string");
  record.content = *text;
  return Accept(record, name, acceptor);
}

Status StringDeserializer::Deserialize(const BlobMessage& proto, Blob* blob) {
  blob->Set(proto.content.value_or(std::string()));
  return Status::Ok();
}

void RegisterBuiltIn(Registry<TypeIdentifier, BlobSerializerBase>& registry) {
  Add<TensorView, TensorSerializer>(registry);
  Add<std::string, StringSerializer>(registry);
  Add<QTensor, QTensorSerializer>(registry);
  Add<Int8TensorCPU, Int8Serializer>(registry);
  Add<Counter, CounterSerializer>(registry);
  AddMaps(registry);
}

void RegisterBuiltIn(Registry<std::string, BlobDeserializerBase>& registry) {
  Add<TensorDeserializer>(registry, "TensorCPU");
  Add<TensorDeserializer>(registry, "TensorCUDA");
  Add<TensorDeserializer>(registry, "TensorHIP");
  Add<StringDeserializer>(registry, "std::string");
  Add<QTensorDeserializer>(registry, "QTensor");
  Add<Int8Deserializer>(registry, "Int8TensorCPU");
  Add<CounterDeserializer>(registry, kCounterType);
  AddMaps(registry);
}

}  // namespace caisson::caffe2
