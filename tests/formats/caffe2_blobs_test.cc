// SPDX-License-Identifier: Apache-2.0
//
// Conformance 53, and 51 of the registries: blobs of every type that is built
// in, by their type strings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "tests/formats/caffe2_code.h"
#include "tests/support/status_matchers.h"

namespace caisson::caffe2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// `blob` written, its type compared, and read again.
Blob Back(const Blob& blob, const std::string& type) {
  Blob back;
  const auto bytes = SerializeBlob(blob, "b");
  EXPECT_THAT(bytes.status(), IsOk());
  if (!bytes) return back;
  EXPECT_EQ(DecodeBlob(*bytes)->type, type);
  EXPECT_EQ(DecodeBlob(*bytes)->name, "b");
  EXPECT_THAT(DeserializeBlob(*bytes, &back), IsOk());
  return back;
}

TEST(Caffe2Conformance53, StringsComeBack) {
  Blob blob;
  blob.Set(std::string("a\0\xff", 3));
  const Blob back = Back(blob, "std::string");
  EXPECT_EQ(*back.Get<std::string>(), std::string("a\0\xff", 3));
}

TEST(Caffe2Conformance53, QTensorsComeBack) {
  QTensor tensor;
  tensor.dims = {3, 4};
  tensor.precision = 5;
  tensor.scale = 0.25;
  tensor.bias = -1;
  tensor.is_signed = true;
  tensor.data = {0, 127, 128, 255};
  Blob blob;
  blob.Set(tensor);
  const Blob back = Back(blob, "QTensor");
  ASSERT_TRUE(back.IsType<QTensor>());
  EXPECT_EQ(back.Get<QTensor>()->dims, tensor.dims);
  EXPECT_EQ(back.Get<QTensor>()->precision, 5);
  EXPECT_EQ(back.Get<QTensor>()->scale, 0.25);
  EXPECT_EQ(back.Get<QTensor>()->bias, -1);
  EXPECT_TRUE(back.Get<QTensor>()->is_signed);
  EXPECT_EQ(back.Get<QTensor>()->data, tensor.data);
}

TEST(Caffe2Conformance53, Int8TensorsComeBack) {
  Int8TensorCPU bytes;
  bytes.scale = 0.5;
  bytes.zero_point = 128;
  bytes.t = Tensor<uint8_t>(DType::kUInt8, {2, 2}, {0, 1, 128, 255});
  Int8TensorCPU ints = bytes;
  ints.t = Tensor<int32_t>(DType::kInt32, {2}, {-7, 1 << 30});
  for (const Int8TensorCPU& tensor : {bytes, ints}) {
    Blob blob;
    blob.Set(tensor);
    const Blob back = Back(blob, "Int8TensorCPU");
    ASSERT_TRUE(back.IsType<Int8TensorCPU>());
    const Int8TensorCPU& read = *back.Get<Int8TensorCPU>();
    EXPECT_EQ(read.scale, 0.5);
    EXPECT_EQ(read.zero_point, 128);
    EXPECT_EQ(read.t.spec.dtype, tensor.t.spec.dtype);
    EXPECT_EQ(read.t.spec.shape, tensor.t.spec.shape);
    EXPECT_EQ(ElementsOf<uint8_t>(read.t), ElementsOf<uint8_t>(tensor.t));
  }
}

TEST(Caffe2Conformance53, CountersComeBack) {
  Blob blob;
  blob.Set(Counter{-42});
  const Blob back = Back(blob, "std::unique_ptr<Counter<int64_t>>");
  EXPECT_EQ(back.Get<Counter>()->value, -42);
}

template <class Key, class Value>
void ExpectMapBack(const std::string& type) {
  std::unordered_map<Key, Value> map = {{1, -2}, {-3, 4}, {1 << 30, 0}};
  Blob blob;
  blob.Set(map);
  const Blob back = Back(blob, type);
  using Map = std::unordered_map<Key, Value>;
  EXPECT_EQ(*back.Get<Map>(), map);
  blob.Set(Map());
  const Blob empty = Back(blob, type);
  EXPECT_EQ(empty.Get<Map>()->size(), 0u);
}

TEST(Caffe2Conformance53, MapsComeBack) {
  ExpectMapBack<int64_t, int64_t>("(std::unordered_map<int64_t, int64_t>)");
  ExpectMapBack<int64_t, int32_t>("(std::unordered_map<int64_t, int32_t>)");
  ExpectMapBack<int32_t, int64_t>("(std::unordered_map<int32_t, int64_t>)");
  ExpectMapBack<int32_t, int32_t>("(std::unordered_map<int32_t, int32_t>)");
}

TEST(Caffe2Conformance53, ContentChunksAreEachThereOnce) {
  const auto chunk = [](int32_t id) {
    BlobMessage blob;
    blob.name = "c";
    blob.type = "Mine";
    blob.content = "x";
    blob.content_num_chunks = 10;
    blob.content_chunk_id = id;
    return Record("c#%" + std::to_string(id), *Encode(blob));
  };
  std::string file;
  for (const int id : {3, 9, 0, 1, 8, 2, 7, 6, 5, 4}) file += chunk(id);
  const auto parsed = ParseMinidb(file);
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_THAT(parsed->layout.others, SizeIs(1));
  const auto expect_corrupt = [](const std::string& bytes) {
    EXPECT_THAT(ParseMinidb(bytes).status(), StatusIs(StatusCode::kCorrupt));
  };
  expect_corrupt(file + chunk(4));
  expect_corrupt(chunk(10));
  expect_corrupt(chunk(0) + chunk(1));
}

TEST(Caffe2Blob, TensorsOfAnEmptyMessage) {
  const TensorMessage empty = EmptyTensor({0, 4}, DataType::kInt64);
  EXPECT_THAT(Numel(empty.dims), IsOkAndHolds(0u));
  EXPECT_THAT(Numel({2, 3}), IsOkAndHolds(6u));
  EXPECT_THAT(Numel({}), IsOkAndHolds(1u));
  EXPECT_THAT(Numel({-1}).status(), StatusIs(StatusCode::kCorrupt));
}

TEST(Caffe2Blob, TextIsProtobufs) {
  const auto blob = DecodeBlob(FromHex(kFloatGolden));
  ASSERT_THAT(blob.status(), IsOk());
  const auto text = TextOf(*blob);
  ASSERT_THAT(text.status(), IsOk());
  EXPECT_THAT(*text, HasSubstr("data_type: FLOAT"));
  EXPECT_THAT(*text, HasSubstr("float_data: -2"));
  EXPECT_EQ(ToHex(*Encode(*ParseBlobText(*text))), kFloatGolden);
  EXPECT_THAT(ParseBlobText("tensor { dims: x }").status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("line 1")));
}

TEST(Caffe2Blob, ChunksGoIntoTheTensorThatIsThere) {
  Blob blob;
  blob.Set(Tensor<float>(DType::kFloat32, {3}, {1, 2, 0}));
  const TensorView before = *blob.Get<TensorView>();
  ASSERT_THAT(DeserializeBlob(FromHex(kChunkGolden), &blob), IsOk());
  EXPECT_EQ(blob.Get<TensorView>()->storage, before.storage);
  EXPECT_THAT(ElementsOf<float>(before), ElementsAre(1, 2, 3));
}

TEST(Caffe2Blob, WithoutASerializerIsNamed) {
  Blob blob;
  EXPECT_THAT(SerializeBlob(blob, "nothing").status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("'nothing'")));
  blob.Set(3.0f);
  EXPECT_EQ(blob.Get<double>(), nullptr);
  EXPECT_THAT(SerializeBlob(blob, "f").status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("no serializer")));
}

struct Made {
  explicit Made(int which) : number(which) {}
  int number;
};

TEST(Caffe2Conformance51, RegistriesKnowPriorities) {
  Registry<std::string, Made> registry;
  const auto make = [](int number) {
    return [number] { return std::make_unique<Made>(number); };
  };
  const auto number = [&](const std::string& key) {
    const auto made = registry.Create(key);
    return made ? (*made)->number : -1;
  };
  EXPECT_THAT(registry.Create("k").status(), StatusIs(StatusCode::kNotFound));
  CAISSON_EXPECT_OK(registry.Register("k", make(1), kRegistryDefault, "one"));
  CAISSON_EXPECT_OK(registry.Register("k", make(2), kRegistryPreferred, "two"));
  EXPECT_EQ(number("k"), 2);
  CAISSON_EXPECT_OK(
      registry.Register("k", make(3), kRegistryFallback, "three"));
  EXPECT_EQ(number("k"), 2);
  EXPECT_THAT(registry.warnings(), ElementsAre(HasSubstr("three: ignored")));
  EXPECT_THAT(registry.Register("k", make(4), kRegistryPreferred, "four"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("twice")));
  EXPECT_THAT(registry.Create("k").status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("four")));
}

}  // namespace
}  // namespace caisson::caffe2
