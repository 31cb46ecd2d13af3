// SPDX-License-Identifier: Apache-2.0
#include "core/formats/caffe2/tensor_message.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/endian.h"
#include "core/formats/caffe2/bfloat16.h"
#include "core/formats/caffe2/wire.h"

namespace caisson::caffe2 {
namespace {

// Elements of type T, each cast to those of `list`.
template <class T, class List>
void Append(std::string_view bytes, List* list) {
  list->reserve(bytes.size() / sizeof(T));
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    list->push_back(static_cast<typename List::value_type>(value));
  }
}

std::string Little(std::string bytes, size_t width) {
  if (kNativeOrder == ByteOrder::kLittle) return bytes;
  for (size_t at = 0; at < bytes.size(); at += width) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                 bytes.begin() + static_cast<std::ptrdiff_t>(at + width));
  }
  return bytes;
}

void SetInts(DataType type, std::string_view bytes, TensorMessage* tensor) {
  std::vector<int32_t>* list = &tensor->int32_data;
  switch (type) {
    case DataType::kInt32:
      return Append<int32_t>(bytes, list);
    case DataType::kInt8:
      return Append<int8_t>(bytes, list);
    case DataType::kInt16:
      return Append<int16_t>(bytes, list);
    case DataType::kUInt16:
    case DataType::kFloat16:
      return Append<uint16_t>(bytes, list);
    default:
      return Append<uint8_t>(bytes, list);
  }
}

std::string DeviceBytes(const DeviceMessage& device) {
  std::string bytes;
  if (device.device_type) PutInt(1, *device.device_type, &bytes);
  if (device.device_id) PutInt(2, *device.device_id, &bytes);
  if (device.numa_node_id) PutInt(5, *device.numa_node_id, &bytes);
  return bytes;
}

}  // namespace

bool Holds(DType dtype) {
  switch (dtype) {
    case DType::kQInt8:
    case DType::kQUInt8:
    case DType::kQInt32:
      return false;  // their scale has no place
    default:
      return GetDataType(dtype) != DataType::kUndefined;
  }
}

DeviceMessage DeviceOf(const TensorView& view) {
  DeviceMessage device;
  device.device_type = kDeviceCpu;
  const Region& region = view.storage->region;
  if (!region.device.is_cpu()) {
    device.device_type = kDeviceCuda;
    device.device_id = region.device.ordinal;
    return device;
  }
  constexpr std::string_view kCuda = "cuda";
  const std::string& location = view.storage->location.str();
  if (!location.starts_with(kCuda)) return device;
  int32_t ordinal = 0;
  if (location.size() > kCuda.size()) {
    const char* end = location.data() + location.size();
    const auto [rest, error] =
        std::from_chars(location.data() + kCuda.size() + 1, end, ordinal);
    const bool number = location[kCuda.size()] == ':' && error == std::errc() &&
                        rest == end && ordinal >= 0;
    if (!number) return device;
  }
  device.device_type = kDeviceCuda;
  device.device_id = ordinal;
  return device;
}

TensorMessage FieldsOf(const TensorView& view, const std::string& name,
                       uint64_t begin, uint64_t end, uint32_t format) {
  TensorMessage tensor;
  tensor.dims = view.spec.shape;
  tensor.data_type = GetDataType(view.spec.dtype);
  tensor.name = name;
  tensor.device_detail = DeviceOf(view);
  tensor.segment = {static_cast<int64_t>(begin), static_cast<int64_t>(end)};
  if (tensor.data_type == DataType::kFloat) {
    const bool half = view.spec.dtype == DType::kBFloat16;
    tensor.data_format = half ? kFormatBFloat16 : format;
  }
  return tensor;
}

TensorMessage MessageOf(const TensorView& view, const std::string& name,
                        uint64_t begin, uint64_t end, uint32_t format,
                        bool as_bytes) {
  TensorMessage tensor = FieldsOf(view, name, begin, end, format);
  const size_t width = ByteWidth(view.spec.dtype);
  const auto* data = reinterpret_cast<const char*>(view.storage->region.data);
  const size_t first = (view.offset + begin) * width;
  const std::string_view bytes =
      end == begin ? std::string_view()
                   : std::string_view(data + first, (end - begin) * width);
  switch (*tensor.data_type) {
    case DataType::kFloat:
      if (tensor.data_format == kFormatProtobuf) {
        Append<float>(bytes, &tensor.float_data);
      } else if (!bytes.empty()) {
        const bool half = view.spec.dtype == DType::kBFloat16;
        tensor.raw_data = Little(half ? std::string(bytes) : ToBFloat16(bytes),
                                 sizeof(uint16_t));
      }
      break;
    case DataType::kDouble:
      Append<double>(bytes, &tensor.double_data);
      break;
    case DataType::kInt64:
      Append<int64_t>(bytes, &tensor.int64_data);
      break;
    default:
      if (as_bytes && width <= 2 && !bytes.empty()) {
        tensor.byte_data = Little(std::string(bytes), width);
      } else {
        SetInts(*tensor.data_type, bytes, &tensor);
      }
  }
  return tensor;
}

Envelope EnvelopeOf(const TensorMessage& fields, Field payload,
                    uint64_t stored) {
  Envelope envelope;
  std::string* out = &envelope.before;
  const auto put_payload = [&] {
    if (stored > 0) {
      PutTag(static_cast<uint32_t>(payload), WireType::kBytes, out);
      PutVarint(stored, out);
    }
    out = &envelope.after;
  };
  for (const int64_t size : fields.dims) PutInt(1, size, out);
  PutInt(2, static_cast<int32_t>(*fields.data_type), out);
  if (payload < Field::kName) put_payload();
  PutBytes(7, *fields.name, out);
  PutBytes(8, DeviceBytes(*fields.device_detail), out);
  if (payload == Field::kDoubleData || payload == Field::kInt64Data) {
    put_payload();
  }
  std::string segment;
  PutInt(1, fields.segment->begin, &segment);
  PutInt(2, fields.segment->end, &segment);
  PutBytes(11, segment, out);
  if (payload == Field::kRawData) put_payload();
  if (fields.data_format) PutInt(15, *fields.data_format, out);
  return envelope;
}

}  // namespace caisson::caffe2
