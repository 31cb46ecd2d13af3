// SPDX-License-Identifier: Apache-2.0
//
// Caffe2's records as tests spell them.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/adapter.h"
#include "caisson/caffe2.h"
#include "core/base/byte_source.h"
#include "core/base/endian.h"
#include "core/formats/caffe2/caffe2_reader.h"
#include "core/formats/caffe2/wire.h"

namespace caisson::caffe2 {

// "0a09" as two bytes.
inline std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(
        std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

inline std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return hex;
}

// A dense tensor that owns its elements.
template <class T>
TensorView Tensor(DType dtype, std::vector<int64_t> shape,
                  std::vector<T> values) {
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  return DenseTensor(dtype, std::move(shape), owner->data(), owner);
}

template <class T>
std::vector<T> ElementsOf(const TensorView& view) {
  std::vector<T> values(view.spec.bytes() / sizeof(T));
  if (values.empty()) return values;
  std::memcpy(values.data(), view.storage->region.data, view.spec.bytes());
  return values;
}

// Samples of formats.md 5.2, as protobuf 3.21 wrote them.
inline constexpr std::string_view kInt32Golden =
    "0a09746573745f626c6f62120654656e736f721a27080a08011002220a0001020304050607"
    "0"
    "8093a09746573745f626c6f62420208005a040800100a";
inline constexpr std::string_view kFloatGolden =
    "0a0178120654656e736f721a1d080210011a080000803f000000c03a0178420208005a0408"
    "0"
    "010027800";
inline constexpr std::string_view kBFloat16Golden =
    "0a0178120654656e736f721a19080210013a0178420208005a04080010026a04803f00c078"
    "0"
    "1";
inline constexpr std::string_view kFloat16Golden =
    "0a0178120654656e736f721a180802100c220580788080033a0178420208005a040800100"
    "2";
inline constexpr std::string_view kFloat16BytesGolden =
    "0a0178120654656e736f721a170802100c2a04003c00c03a0178420208005a0408001002";
inline constexpr std::string_view kInt8Golden =
    "0a0178120654656e736f721a1e08021007220bffffffffffffffffff01013a017842020800"
    "5"
    "a0408001002";
inline constexpr std::string_view kByteGolden =
    "0a0178120654656e736f721a15080210032a0201ff3a0178420208005a0408001002";
inline constexpr std::string_view kEmptyGolden =
    "0a0178120654656e736f721a150800080310013a0178420208005a04080010007800";
inline constexpr std::string_view kChunkGolden =
    "0a0178120654656e736f721a19080310011a04000040403a0178420208005a040802100378"
    "0"
    "0";

// A record of a minidb.
inline std::string Record(std::string_view key, std::string_view value) {
  std::string record(8, '\0');
  StoreLittle<uint32_t>(static_cast<uint32_t>(key.size()), record.data());
  StoreLittle<uint32_t>(static_cast<uint32_t>(value.size()), record.data() + 4);
  return record.append(key).append(value);
}

// A BlobProto of the tensor, as an entry of a minidb.
inline std::string TensorRecordOf(const std::string& key,
                                  const TensorMessage& tensor) {
  BlobMessage blob;
  blob.name = key.substr(0, key.find("#%"));
  blob.type = "Tensor";
  blob.tensor = tensor;
  return Record(key, *Encode(blob));
}

// A chunk of floats, all of which are their positions.
inline TensorMessage FloatChunk(std::vector<int64_t> dims, int64_t begin,
                                int64_t end) {
  TensorMessage tensor;
  tensor.dims = std::move(dims);
  tensor.data_type = DataType::kFloat;
  tensor.segment = {begin, end};
  for (int64_t i = begin; i < end; ++i) {
    tensor.float_data.push_back(static_cast<float>(i));
  }
  return tensor;
}

inline ByteSource Memory(std::string bytes,
                         const std::string& name = "blobs.minidb") {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return ByteSource(std::make_shared<MemoryAdapter>(
      std::as_bytes(std::span(*owner)), name, owner));
}

inline Result<ParsedBlobs> ParseMinidb(std::string bytes) {
  return ParseCaffe2(Memory(std::move(bytes)), Form::kMinidb);
}

}  // namespace caisson::caffe2
