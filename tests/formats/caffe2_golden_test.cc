// SPDX-License-Identifier: Apache-2.0
//
// Conformance 47, 48 and 49: records byte for byte, every data type in each of
// its spellings, bfloat16.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "core/formats/caffe2/bfloat16.h"
#include "tests/formats/caffe2_code.h"
#include "tests/support/status_matchers.h"

namespace caisson::caffe2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Blob Of(TensorView view) {
  Blob blob;
  blob.Set(std::move(view));
  return blob;
}

TensorView Read(std::string_view hex) {
  Blob blob;
  EXPECT_THAT(DeserializeBlob(FromHex(hex), &blob), IsOk()) << hex;
  const TensorView* view = blob.Get<TensorView>();
  EXPECT_NE(view, nullptr);
  return view == nullptr ? TensorView() : *view;
}

std::string WrittenHex(TensorView view, const std::string& name = "x") {
  const auto bytes = SerializeBlob(Of(std::move(view)), name);
  EXPECT_THAT(bytes.status(), IsOk());
  return bytes ? ToHex(*bytes) : "";
}

// The one record that a chunk size and a format give at `index`.
std::string Chunked(TensorView view, const BlobSerializationOptions& options,
                    size_t index) {
  std::vector<std::string> records;
  const auto keep = [&](const std::string&, std::string data) {
    records.push_back(std::move(data));
    return Status::Ok();
  };
  EXPECT_THAT(SerializeBlob(Of(std::move(view)), "x", keep, {{options}}),
              IsOk());
  return ToHex(records.at(index));
}

TEST(Caffe2Conformance47, GoldenVectorsAreWrittenAndRead) {
  std::vector<int32_t> ten(10);
  std::iota(ten.begin(), ten.end(), 0);
  EXPECT_EQ(WrittenHex(Tensor(DType::kInt32, {10, 1}, ten), "test_blob"),
            kInt32Golden);
  EXPECT_EQ(FromHex(kInt32Golden).size(), 60u);
  EXPECT_EQ(ElementsOf<int32_t>(Read(kInt32Golden)), ten);

  const std::vector<float> floats = {1, -2};
  EXPECT_EQ(WrittenHex(Tensor(DType::kFloat32, {2}, floats)), kFloatGolden);
  EXPECT_EQ(ElementsOf<float>(Read(kFloatGolden)), floats);

  BlobSerializationOptions half;
  half.float_format = FloatFormat::kBFloat16;
  EXPECT_EQ(Chunked(Tensor(DType::kFloat32, {2}, floats), half, 0),
            kBFloat16Golden);
  EXPECT_EQ(ElementsOf<float>(Read(kBFloat16Golden)), floats);

  const std::vector<uint16_t> halves = {0x3C00, 0xC000};
  EXPECT_EQ(WrittenHex(Tensor(DType::kFloat16, {2}, halves)), kFloat16Golden);
  for (const bool all : {false, true}) {
    BlobSerializationOptions as_bytes;
    (all ? as_bytes.bytes_as_holder : as_bytes.fp16_as_bytes) = true;
    EXPECT_EQ(Chunked(Tensor(DType::kFloat16, {2}, halves), as_bytes, 0),
              kFloat16BytesGolden);
  }
  for (const auto golden : {kFloat16Golden, kFloat16BytesGolden}) {
    const TensorView read = Read(golden);
    EXPECT_EQ(read.spec.dtype, DType::kFloat16);
    EXPECT_EQ(ElementsOf<uint16_t>(read), halves);
  }

  const std::vector<int8_t> bytes = {-1, 1};
  EXPECT_EQ(WrittenHex(Tensor(DType::kInt8, {2}, bytes)), kInt8Golden);
  EXPECT_EQ(ElementsOf<int8_t>(Read(kInt8Golden)), bytes);

  EXPECT_THAT(ElementsOf<uint8_t>(Read(kByteGolden)), ElementsAre(1, 255));

  EXPECT_EQ(WrittenHex(Tensor<float>(DType::kFloat32, {0, 3}, {})),
            kEmptyGolden);
  EXPECT_THAT(Read(kEmptyGolden).spec.shape, ElementsAre(0, 3));

  BlobSerializationOptions two;
  two.chunk_size = 2;
  EXPECT_EQ(Chunked(Tensor<float>(DType::kFloat32, {3}, {1, 2, 3}), two, 1),
            kChunkGolden);
  EXPECT_THAT(ElementsOf<float>(Read(kChunkGolden)), ElementsAre(0, 0, 3));
}

TEST(Caffe2Conformance47, ADeviceIsKept) {
  TensorView view = Tensor<float>(DType::kFloat32, {1}, {1});
  view.storage->location = Text("cuda:3");
  const std::string hex = WrittenHex(view);
  EXPECT_THAT(hex, HasSubstr("420408011003"));
  EXPECT_EQ(Read(hex).storage->location.str(), "cuda:3");
}

// A list of int32, the same as bytes, and back.
template <class T>
void ExpectSpellings(DType dtype, std::vector<T> values) {
  SCOPED_TRACE(Name(dtype));
  const auto count = static_cast<int64_t>(values.size());
  const std::string hex = WrittenHex(Tensor(dtype, {count}, values));
  auto blob = DecodeBlob(FromHex(hex));
  ASSERT_THAT(blob.status(), IsOk());
  EXPECT_EQ(ElementsOf<T>(Read(hex)), values);
  EXPECT_EQ(DTypeOf(GetDataType(dtype)), dtype);
  TensorMessage& tensor = *blob->tensor;
  EXPECT_FALSE(tensor.byte_data.has_value());
  EXPECT_EQ(tensor.int32_data.size(), values.size());
  if (dtype == DType::kInt32) return;
  tensor.int32_data.clear();
  tensor.byte_data.emplace();
  for (T value : values) {
    if (kNativeOrder == ByteOrder::kBig && sizeof(T) == 2) {
      value = static_cast<T>(Reversed(static_cast<uint16_t>(value)));
    }
    tensor.byte_data->append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  const TensorView bytes = Read(ToHex(*Encode(*blob)));
  EXPECT_EQ(bytes.spec.dtype, dtype);
  EXPECT_EQ(ElementsOf<T>(bytes), values);
  EXPECT_EQ(WrittenHex(bytes), hex);
}

TEST(Caffe2Conformance48, EveryTypeInEachOfItsSpellings) {
  ExpectSpellings<int32_t>(DType::kInt32, {0, -1, 2147483647, -2147483647});
  ExpectSpellings<uint8_t>(DType::kBool, {0, 1, 1});
  ExpectSpellings<uint8_t>(DType::kUInt8, {0, 127, 128, 255});
  ExpectSpellings<int8_t>(DType::kInt8, {0, 127, -128, -1});
  ExpectSpellings<uint16_t>(DType::kUInt16, {0, 127, 16384, 65535});
  ExpectSpellings<int16_t>(DType::kInt16, {0, 32767, -32768, -1});
  ExpectSpellings<uint16_t>(DType::kFloat16, {0x3C00, 0x8000, 0xFFFF});
  const std::vector<int64_t> longs = {0, -1, INT64_MAX, INT64_MIN};
  EXPECT_EQ(
      ElementsOf<int64_t>(Read(WrittenHex(Tensor(DType::kInt64, {4}, longs)))),
      longs);
  const std::vector<double> doubles = {0, -1.5, 1e300};
  EXPECT_EQ(ElementsOf<double>(
                Read(WrittenHex(Tensor(DType::kFloat64, {3}, doubles)))),
            doubles);
}

TEST(Caffe2Conformance48, LegacyByteIsReadAndNeverWritten) {
  auto blob = DecodeBlob(FromHex(kByteGolden));
  ASSERT_THAT(blob.status(), IsOk());
  EXPECT_EQ(blob->tensor->data_type, DataType::kByte);
  const std::string hex = WrittenHex(Read(kByteGolden));
  EXPECT_EQ(DecodeBlob(FromHex(hex))->tensor->data_type, DataType::kUInt8);
  blob->tensor->byte_data = "abc";
  Blob into;
  EXPECT_THAT(DeserializeBlob(*blob, &into),
              StatusIs(StatusCode::kCorrupt, HasSubstr("field size")));
}

TEST(Caffe2Conformance48, QuantisedTypesAreTheirIntegers) {
  EXPECT_EQ(GetDataType(DType::kQInt8), DataType::kInt8);
  EXPECT_EQ(GetDataType(DType::kQUInt8), DataType::kUInt8);
  EXPECT_EQ(GetDataType(DType::kQInt32), DataType::kInt32);
  EXPECT_EQ(GetDataType(DType::kComplex64), DataType::kUndefined);
  Blob blob = Of(Tensor<float>(DType::kComplex64, {1}, {1, 2}));
  EXPECT_THAT(SerializeBlob(blob, "c").status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("complex64")));
}

TEST(Caffe2Conformance49, RoundsHalfUpAndKeepsNoNan) {
  const std::pair<uint32_t, uint16_t> cases[] = {
      {0x3F800000, 0x3F80},  // 1
      {0x3F808000, 0x3F81},  // a tie, up from even
      {0x3F818000, 0x3F82},  // a tie, up from odd
      {0x3F807FFF, 0x3F80},  // just below
      {0xBF808000, 0xBF81},  // in magnitude
      {0x00000001, 0x0000},  // the least denormal
      {0x00008000, 0x0001},  // a denormal that is a tie
      {0x7F800000, 0x7F80},  // infinity
      {0x7F7FFFFF, 0x7F80},  // the largest becomes infinite
      {0x7FC00000, 0x7FC0},  // a NaN
      {0x7FFFFFFF, 0x8000},  // a NaN that overflows to -0
  };
  for (const auto& [bits, half] : cases) {
    EXPECT_EQ(BFloat16Of(bits), half) << std::hex << bits;
  }
  for (uint32_t half = 0; half < 65536; ++half) {
    EXPECT_EQ(BFloat16Of(half << 16), half);
  }
}

TEST(Caffe2Conformance49, ItsLengthAndFormatAreChecked) {
  auto blob = DecodeBlob(FromHex(kBFloat16Golden));
  ASSERT_THAT(blob.status(), IsOk());
  Blob into;
  BlobMessage other = *blob;
  other.tensor->raw_data->push_back('x');
  EXPECT_THAT(DeserializeBlob(other, &into),
              StatusIs(StatusCode::kCorrupt, HasSubstr("field size")));
  other = *blob;
  other.tensor->data_format = 2;
  EXPECT_THAT(DeserializeBlob(other, &into),
              StatusIs(StatusCode::kCorrupt, HasSubstr("unsupported")));
  other = *blob;
  other.tensor->data_type = DataType::kInt32;
  EXPECT_THAT(DeserializeBlob(other, &into),
              StatusIs(StatusCode::kCorrupt, HasSubstr("unsupported")));
}

}  // namespace
}  // namespace caisson::caffe2
