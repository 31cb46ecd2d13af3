// SPDX-License-Identifier: Apache-2.0
//
// Caffe2's messages as plain structs, and their bytes: what serializers fill
// and deserializers are given. Names and meaning of the fields are those of
// caffe2.proto (formats.md 5); no header of protobuf is needed.
//
// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/status.h"

namespace caisson::caffe2 {

// TensorProto.DataType.
enum class DataType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kInt32 = 2,
  kByte = 3,  // old files' uint8
  kString = 4,
  kBool = 5,
  kUInt8 = 6,
  kInt8 = 7,
  kUInt16 = 8,
  kInt16 = 9,
  kInt64 = 10,
  kFloat16 = 12,
  kDouble = 13,
  kZeroCollisionHash = 14,
  kRebatchingBuffer = 15,
};

// DeviceTypeProto, as far as tensors come from there.
inline constexpr int32_t kDeviceCpu = 0;
inline constexpr int32_t kDeviceCuda = 1;
inline constexpr int32_t kDeviceHip = 6;

// TensorProto.SerializationFormat.
inline constexpr uint32_t kFormatProtobuf = 0;
inline constexpr uint32_t kFormatBFloat16 = 1;

struct DeviceMessage {
  std::optional<int32_t> device_type;
  std::optional<int32_t> device_id;
  std::optional<uint32_t> random_seed;
  std::optional<std::string> node_name;
  std::optional<int32_t> numa_node_id;
  std::vector<std::string> extra_info;
};

struct SegmentMessage {
  int64_t begin = 0;
  int64_t end = 0;
};

struct TensorMessage {
  std::vector<int64_t> dims;
  std::optional<DataType> data_type;  // none also for an unknown number
  std::vector<float> float_data;
  std::vector<int32_t> int32_data;
  std::optional<std::string> byte_data;
  std::vector<std::string> string_data;
  std::optional<std::string> name;
  std::optional<DeviceMessage> device_detail;
  std::vector<double> double_data;
  std::vector<int64_t> int64_data;
  std::optional<SegmentMessage> segment;
  std::optional<std::string> raw_data;
  std::optional<uint32_t> data_format;
  std::string unknown_fields;  // encoded; kept when written again
};

struct QTensorMessage {
  std::vector<int64_t> dims;
  int32_t precision = 0;
  double scale = 0;
  double bias = 0;
  bool is_signed = false;
  std::vector<int32_t> data;
  std::optional<std::string> name;
  std::optional<DataType> data_type;
  std::vector<double> scales;
  std::vector<double> biases;
  std::optional<int32_t> axis;
  std::optional<bool> is_multiparam;
};

struct BlobMessage {
  std::optional<std::string> name;
  std::optional<std::string> type;
  std::optional<TensorMessage> tensor;
  std::optional<std::string> content;
  std::optional<QTensorMessage> qtensor;
  std::optional<int32_t> content_num_chunks;
  std::optional<int32_t> content_chunk_id;
  std::string unknown_fields;
};

// The bytes, fields in the order of their numbers.
//
// Errors: kInvalidArgument for a message of 2 GiB or more.
Result<std::string> Encode(const BlobMessage& blob);
Result<std::string> Encode(const TensorMessage& tensor);
Result<std::string> EncodeTensors(const std::vector<TensorMessage>& tensors);

// kCorrupt for what is no such message. Packed and unpacked lists are the same.
Result<BlobMessage> DecodeBlob(std::string_view bytes);
Result<TensorMessage> DecodeTensor(std::string_view bytes);
Result<std::vector<TensorMessage>> DecodeTensors(std::string_view bytes);

// Protobuf's text format.
Result<std::string> TextOf(const BlobMessage& blob);
Result<std::string> TextOf(const TensorMessage& tensor);
Result<BlobMessage> ParseBlobText(std::string_view text);
Result<std::vector<TensorMessage>> ParseTensorsText(std::string_view text);

// The DataType that tensors of `dtype` have: bfloat16 is a kFloat in the format
// kFormatBFloat16, and quantised types are their integers. kUndefined for a
// type that Caffe2 has not.
DataType GetDataType(DType dtype);

// The inverse; none for what is no number. kByte is uint8.
std::optional<DType> DTypeOf(DataType type);

// The product of the dimensions. kCorrupt if one is negative or it overflows.
Result<uint64_t> Numel(const std::vector<int64_t>& dims);

// A tensor of `dims` and `type` without elements, as Caffe2 makes it of a blob
// that was never filled.
TensorMessage EmptyTensor(std::vector<int64_t> dims = {0},
                          DataType type = DataType::kFloat);

}  // namespace caisson::caffe2
