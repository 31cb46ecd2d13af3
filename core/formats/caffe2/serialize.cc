// SPDX-License-Identifier: Apache-2.0
//
// SerializeBlob and DeserializeBlob: who is asked, with which options.
#include <regex>
#include <utility>

#include "caisson/caffe2.h"
#include "core/base/status_macros.h"
#include "core/formats/caffe2/serializers.h"

namespace caisson::caffe2 {
namespace {

// The options that count for a blob of that name.
Result<BlobSerializationOptions> OptionsFor(
    const std::string& name, const SerializationOptions& options) {
  for (const BlobSerializationOptions& option : options.options) {
    if (option.blob_name_regex.empty()) return option;
    try {
      const std::regex regex(option.blob_name_regex);
      if (std::regex_match(name, regex)) return option;
    } catch (const std::regex_error& error) {
      return Status::InvalidArgument("'" + option.blob_name_regex +
                                     "': " + error.what());
    }
  }
  return BlobSerializationOptions();
}

Status Serialize(const Blob& blob, const std::string& name,
                 const SerializationAcceptor& acceptor,
                 const BlobSerializationOptions& options) {
  const auto serializer = BlobSerializerRegistry().Create(blob.type());
  if (!serializer) {
    const Status& error = serializer.error();
    return error.code() == StatusCode::kNotFound
               ? Status::Unsupported("blob '" + name +
                                     "': no serializer for its type")
               : error;
  }
  return (*serializer)->Serialize(blob, name, acceptor, options);
}

// Which deserializer a record wants.
std::string KeyOf(const BlobMessage& proto) {
  std::string key = proto.type.value_or(std::string());
  if (key != "Tensor") return key;
  int32_t device = kDeviceCpu;
  if (proto.tensor && proto.tensor->device_detail) {
    device = proto.tensor->device_detail->device_type.value_or(kDeviceCpu);
  }
  if (device == kDeviceCpu) return key + "CPU";
  if (device == kDeviceCuda) return key + "CUDA";
  return device == kDeviceHip ? key + "HIP" : key + std::to_string(device);
}

}  // namespace

Registry<TypeIdentifier, BlobSerializerBase>& BlobSerializerRegistry() {
  static auto* const registry = [] {
    auto* made = new Registry<TypeIdentifier, BlobSerializerBase>;
    RegisterBuiltIn(*made);
    return made;
  }();
  return *registry;
}

Registry<std::string, BlobDeserializerBase>& BlobDeserializerRegistry() {
  static auto* const registry = [] {
    auto* made = new Registry<std::string, BlobDeserializerBase>;
    RegisterBuiltIn(*made);
    return made;
  }();
  return *registry;
}

Status SerializeBlob(const Blob& blob, const std::string& name,
                     const SerializationAcceptor& acceptor,
                     const SerializationOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(const BlobSerializationOptions chosen,
                           OptionsFor(name, options));
  return Serialize(blob, name, acceptor, chosen);
}

Result<std::string> SerializeBlob(const Blob& blob, const std::string& name) {
  BlobSerializationOptions whole;
  whole.chunk_size = -1;
  std::optional<std::string> record;
  CAISSON_RETURN_IF_ERROR(Serialize(
      blob, name,
      [&](const std::string&, std::string data) {
        if (record) {
          return Status::Unsupported("blob '" + name +
                                     "': several records, expected one");
        }
        record = std::move(data);
        return Status::Ok();
      },
      whole));
  if (!record) {
    return Status::Unsupported("blob '" + name + "': no record, expected one");
  }
  return *std::move(record);
}

Status DeserializeBlob(std::string_view content, Blob* blob) {
  CAISSON_ASSIGN_OR_RETURN(const BlobMessage proto, DecodeBlob(content));
  return DeserializeBlob(proto, blob);
}

Status DeserializeBlob(const BlobMessage& proto, Blob* blob) {
  const std::string key = KeyOf(proto);
  const auto deserializer = BlobDeserializerRegistry().Create(key);
  if (!deserializer) {
    const Status& error = deserializer.error();
    return error.code() == StatusCode::kNotFound
               ? Status::Unsupported("blob '" + proto.name.value_or("") +
                                     "': no deserializer for type '" + key +
                                     "'")
               : error;
  }
  return (*deserializer)->Deserialize(proto, blob);
}

}  // namespace caisson::caffe2
