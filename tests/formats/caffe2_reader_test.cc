// SPDX-License-Identifier: Apache-2.0
//
// Conformance 50 to 54 of what a file may say: chunks, the unknown, the
// malformed, minidb and protodb.
#include "core/formats/caffe2/caffe2_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/formats/caffe2/minidb.h"
#include "tests/formats/caffe2_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::caffe2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A minidb of chunks of one tensor of five floats, by their bounds.
std::string Chunks(const std::vector<std::pair<int64_t, int64_t>>& bounds) {
  std::string file;
  for (size_t i = 0; i < bounds.size(); ++i) {
    file += TensorRecordOf("w#%" + std::to_string(i),
                           FloatChunk({5}, bounds[i].first, bounds[i].second));
  }
  return file;
}

void ExpectCorrupt(const std::string& file, const std::string& problem) {
  EXPECT_THAT(ParseMinidb(file).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr(problem)));
}

// What is wrong with the one tensor.
void ExpectCorrupt(const TensorMessage& tensor, const std::string& problem) {
  ExpectCorrupt(TensorRecordOf("w#%0", tensor), problem);
}

TEST(Caffe2Conformance50, ChunksInAnyOrderAreOneTensor) {
  for (const auto& bounds :
       std::vector<std::vector<std::pair<int64_t, int64_t>>>{
           {{0, 2}, {2, 4}, {4, 5}}, {{4, 5}, {0, 2}, {2, 4}}, {{0, 5}}}) {
    const auto parsed = ParseMinidb(Chunks(bounds));
    ASSERT_THAT(parsed.status(), IsOk());
    const Layout& layout = parsed->layout;
    EXPECT_EQ(layout.format, "minidb");
    ASSERT_THAT(layout.tensors, SizeIs(1));
    EXPECT_EQ(layout.tensors[0].view.spec.name, "w");
    EXPECT_THAT(layout.tensors[0].view.spec.shape, ElementsAre(5));
    EXPECT_THAT(layout.storages[0].pieces, SizeIs(bounds.size()));
    EXPECT_EQ(parsed->image, nullptr);
    uint64_t next = 0;
    for (const Piece& piece : layout.storages[0].pieces) {
      EXPECT_EQ(piece.first_elem, next);
      next += piece.elems;
    }
  }
}

TEST(Caffe2Conformance50, ChunksThatAreNotOneTensorAreRefused) {
  ExpectCorrupt(Chunks({{0, 2}, {2, 4}}), "mismatch");          // missing
  ExpectCorrupt(Chunks({{0, 2}, {0, 2}, {2, 5}}), "mismatch");  // twice
  ExpectCorrupt(Chunks({{0, 3}, {2, 5}}), "mismatch");          // overlap
  ExpectCorrupt(Chunks({{0, 2}, {3, 5}}), "mismatch");          // a hole
  // Two halves that are the same add up to the total.
  ExpectCorrupt(TensorRecordOf("w#%0", FloatChunk({4}, 0, 2)) +
                    TensorRecordOf("w#%1", FloatChunk({4}, 0, 2)),
                "mismatch");
  ExpectCorrupt(Chunks({{0, 6}}), "segment");
  TensorMessage backwards = FloatChunk({5}, 0, 0);
  backwards.segment = {3, 2};
  ExpectCorrupt(backwards, "segment");
  backwards.segment = {-1, 2};
  ExpectCorrupt(backwards, "segment");
  ExpectCorrupt(
      Chunks({{0, 2}}) + TensorRecordOf("w#%1", FloatChunk({5, 1}, 2, 5)),
      "differ");
  TensorMessage ints = FloatChunk({5}, 2, 5);
  ints.data_type = DataType::kInt32;
  ints.float_data.clear();
  ints.int32_data = {1, 2, 3};
  ExpectCorrupt(Chunks({{0, 2}}) + TensorRecordOf("w#%1", ints), "differ");
  TensorMessage whole = FloatChunk({5}, 0, 5);
  whole.segment.reset();
  ExpectCorrupt(Chunks({{0, 2}}) + TensorRecordOf("w#%1", whole), "segment");
}

TEST(Caffe2Conformance50, ChunksOfTwoFormatsAreFloats) {
  TensorMessage half = FloatChunk({5}, 2, 5);
  half.float_data.clear();
  half.data_format = kFormatBFloat16;
  half.raw_data = FromHex("803f00400000");
  const auto mixed =
      ParseMinidb(Chunks({{0, 2}}) + TensorRecordOf("w#%1", half));
  ASSERT_THAT(mixed.status(), IsOk());
  EXPECT_EQ(mixed->layout.storages[0].dtype, DType::kFloat32);
  EXPECT_EQ(mixed->image->size(), 20u);
}

TEST(Caffe2Conformance50, AnEmptyTensorIsOneRecord) {
  const std::string one = TensorRecordOf("w#%0", FloatChunk({0, 3}, 0, 0));
  const auto parsed = ParseMinidb(one);
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_THAT(parsed->layout.tensors[0].view.spec.shape, ElementsAre(0, 3));
  ExpectCorrupt(one + one, "mismatch");
}

TEST(Caffe2Conformance50, KeysNameTheirBlobs) {
  const TensorMessage whole = FloatChunk({5}, 0, 5);
  const auto bare = ParseMinidb(TensorRecordOf("w", whole));
  ASSERT_THAT(bare.status(), IsOk());
  EXPECT_THAT(bare->layout.warnings, ElementsAre(HasSubstr("without #%")));
  ExpectCorrupt(TensorRecordOf("w", FloatChunk({5}, 0, 3)), "no number");
  BlobMessage blob;
  blob.name = "other";
  blob.type = "Tensor";
  blob.tensor = whole;
  ExpectCorrupt(Record("w#%0", *Encode(blob)), "the blob's name is 'other'");
}

TEST(Caffe2Conformance51, AnUnknownDataTypeIsNone) {
  TensorMessage tensor = FloatChunk({5}, 0, 5);
  tensor.data_type.reset();
  ExpectCorrupt(tensor, "unrecognized data type");
  tensor.unknown_fields = FromHex("10d723");  // data_type: 4567
  const std::string bytes = *Encode(tensor);
  EXPECT_THAT(DecodeTensor(bytes)->unknown_fields, tensor.unknown_fields);
  EXPECT_FALSE(DecodeTensor(bytes)->data_type.has_value());
  ExpectCorrupt(tensor, "unrecognized data type");
  Blob blob;
  BlobMessage record;
  record.type = "Tensor";
  record.tensor = tensor;
  EXPECT_THAT(DeserializeBlob(record, &blob),
              StatusIs(StatusCode::kCorrupt, HasSubstr("unrecognized")));
}

TEST(Caffe2Conformance51, OfNothingItIsAnEmptyFloat) {
  for (const bool undefined : {false, true}) {
    TensorMessage tensor = EmptyTensor({0, 7});
    tensor.data_type.reset();
    if (undefined) tensor.data_type = DataType::kUndefined;
    const auto parsed = ParseMinidb(TensorRecordOf("w#%0", tensor));
    ASSERT_THAT(parsed.status(), IsOk());
    const TensorSpec& spec = parsed->layout.tensors[0].view.spec;
    EXPECT_EQ(spec.dtype, DType::kFloat32);
    EXPECT_THAT(spec.shape, ElementsAre(0));
  }
}

TEST(Caffe2Conformance51, UnknownFieldsAreKept) {
  const std::string extra = FromHex("a80101");  // field 21: 1
  const std::string bytes = FromHex(kFloatGolden) + extra;
  const auto blob = DecodeBlob(bytes);
  ASSERT_THAT(blob.status(), IsOk());
  EXPECT_EQ(blob->unknown_fields, extra);
  EXPECT_EQ(ToHex(*Encode(*blob)), ToHex(bytes));
  EXPECT_THAT(ParseMinidb(Record("x#%0", bytes)).status(), IsOk());
}

TEST(Caffe2Conformance51, PackedAndUnpackedListsAreTheSame) {
  // dims packed; float_data unpacked, int32_data in two runs.
  const std::string floats = FromHex("0a02020110011d0000803f1d000000c0");
  const std::string ints = FromHex("08031002220201022201033a0178");
  for (const std::string& tensor : {floats, ints}) {
    std::string file;
    PutBytes(1, tensor, &file);
    const auto parsed =
        ParseCaffe2(Memory(file, "t.pb"), *RecogniseForm(Memory(file, "t.pb")));
    ASSERT_THAT(parsed.status(), IsOk()) << ToHex(tensor);
    const StorageLayout& storage = parsed->layout.storages[0];
    EXPECT_EQ(storage.pieces[0].source, 1u);
    ASSERT_NE(parsed->image, nullptr);
    EXPECT_EQ(parsed->image->size(), storage.bytes);
  }
}

TEST(Caffe2Conformance51, UnknownBlobsAreNoPartOfTheState) {
  BlobMessage blob;
  blob.name = "q";
  blob.type = "Strange";
  blob.content = "abc";
  const auto parsed = ParseMinidb(Record("q", *Encode(blob)));
  ASSERT_THAT(parsed.status(), IsOk());
  ASSERT_THAT(parsed->layout.others, SizeIs(1));
  EXPECT_TRUE(parsed->layout.others[0].extra);
  EXPECT_THAT(parsed->layout.others[0].record, HasSubstr("'Strange'"));
  Blob into;
  EXPECT_THAT(DeserializeBlob(blob, &into),
              StatusIs(StatusCode::kUnsupported,
                       HasSubstr("no deserializer for type")));
}

TEST(Caffe2Conformance52, SizesThatCannotBeAreRefused) {
  TensorMessage bytes;
  bytes.dims = {8};
  bytes.data_type = DataType::kUInt8;
  bytes.byte_data = "abc";
  bytes.segment = {0, 8};
  ExpectCorrupt(bytes, "field size");
  TensorMessage negative = FloatChunk({-5}, 0, 0);
  ExpectCorrupt(negative, "negative");
  TensorMessage product =
      FloatChunk({int64_t{1} << 40, int64_t{1} << 40}, 0, 0);
  ExpectCorrupt(product, "overflow");
  TensorMessage both = FloatChunk({2}, 0, 2);
  both.raw_data = "abcd";
  ExpectCorrupt(both, "two payloads");
}

TEST(Caffe2Conformance52, HugeDimensionsTakeNoMemory) {
  TensorMessage huge = FloatChunk({int64_t{1} << 60}, 0, 0);
  huge.segment.reset();
  const std::string file = TensorRecordOf("w#%0", huge);
  huge.data_type = DataType::kUInt8;
  huge.int32_data = {1, 2, 3};
  const std::string varints = TensorRecordOf("w#%0", huge);
  const AllocationMeter meter;
  ExpectCorrupt(file, "field size");
  ExpectCorrupt(varints, "field size");
  EXPECT_LT(meter.PeakBytes(), size_t{1} << 20);
}

TEST(Caffe2Conformance52, NestedBlobsAreNotFollowed) {
  std::string inner = *Encode(BlobMessage());
  for (int depth = 0; depth < 10000; ++depth) {
    std::string tensor = FromHex("08011000");  // dims 1, UNDEFINED
    PutBytes(6, inner, &tensor);
    std::string blob;
    PutBytes(2, "Tensor", &blob);
    PutBytes(3, tensor, &blob);
    inner = std::move(blob);
  }
  Blob into;
  EXPECT_THAT(DeserializeBlob(inner, &into),
              StatusIs(StatusCode::kUnsupported, HasSubstr("blobs")));
  const auto parsed = ParseMinidb(Record("w#%0", inner));
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_THAT(parsed->layout.others, SizeIs(1));
}

TEST(Caffe2Conformance52, BrokenWireIsRefused) {
  const auto tensor = [](std::string_view hex) {
    std::string blob;
    PutBytes(2, "Tensor", &blob);
    PutBytes(3, FromHex(hex), &blob);
    return Record("w#%0", blob);
  };
  // A varint of 11 bytes; a packed length that no float divides.
  ExpectCorrupt(tensor("08ffffffffffffffffffff011001"), "varint");
  ExpectCorrupt(tensor("080110011a050000803f00"), "field size");
  ExpectCorrupt(tensor("080110011aff01"), "are left");
  ExpectCorrupt(tensor("0801100100"), "no field");
}

TEST(Caffe2Conformance54, MinidbIsTwoLengthsAndTwoTexts) {
  EXPECT_THAT(MinidbPrefix("key", 5),
              IsOkAndHolds(FromHex("03000000050000006b6579")));
  const std::string file = Record("a", "xy") + Record("a", "z");
  const ByteSource source = Memory(file);
  MinidbWalk walk(source);
  for (const uint64_t bytes : {2, 1}) {  // duplicates, in order
    const auto record = walk.Next();
    ASSERT_THAT(record.status(), IsOk());
    ASSERT_TRUE(record->has_value());
    EXPECT_EQ((*record)->key, "a");
    EXPECT_EQ((*record)->value.bytes, bytes);
  }
  EXPECT_THAT(walk.Next()->has_value(), false);
}

TEST(Caffe2Conformance54, MinidbThatIsCutOrLiesIsRefused) {
  const std::string record = TensorRecordOf("w#%0", FloatChunk({5}, 0, 5));
  const std::string file =
      record + TensorRecordOf("v#%0", FloatChunk({5}, 0, 5));
  for (size_t bytes = 1; bytes < file.size(); ++bytes) {
    const auto parsed = ParseMinidb(file.substr(0, bytes));
    EXPECT_EQ(parsed.has_value(), bytes == record.size()) << bytes;
    if (!parsed) {
      EXPECT_EQ(parsed.error().code(), StatusCode::kCorrupt);
    }
  }
  for (size_t extra = 1; extra < 4; ++extra) {
    ExpectCorrupt(file + std::string(extra, '\0'), "minidb");
  }
  ExpectCorrupt(std::string(20, '\0'), "a key of 0");
  ExpectCorrupt(FromHex("ffffffff0100000041"), "a key of -1");
  ExpectCorrupt(FromHex("010000000000000041"), "a value of 0");
  ExpectCorrupt(FromHex("01000000ffffff7f4142"), "are left");
}

TEST(Caffe2Conformance54, ProtodbHasEachKeyOnce) {
  TensorMessage tensor = FloatChunk({5}, 0, 5);
  tensor.name = "w";
  std::string file;
  PutBytes(1, *Encode(tensor), &file);
  EXPECT_EQ(RecogniseForm(Memory(file, "x")), Form::kProtodb);
  EXPECT_THAT(ParseCaffe2(Memory(file), Form::kProtodb).status(), IsOk());
  EXPECT_THAT(ParseCaffe2(Memory(file + file), Form::kProtodb).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("two tensors")));
}

TEST(Caffe2Reader, TellsFormsByTheirFirstRecord) {
  const std::string blob = FromHex(kFloatGolden);
  EXPECT_EQ(RecogniseForm(Memory(blob, "x")), Form::kBlob);
  EXPECT_EQ(RecogniseForm(Memory(Record("x#%0", blob), "x")), Form::kMinidb);
  EXPECT_EQ(RecogniseForm(Memory("nothing that is known", "x")), std::nullopt);
  EXPECT_EQ(RecogniseForm(Memory("", "x")), std::nullopt);
  EXPECT_EQ(RecogniseForm(Memory("", "x.minidb")), Form::kMinidb);
  EXPECT_THAT(ParseCaffe2(Memory(blob), Form::kBlob).status(), IsOk());
}

TEST(Caffe2Reader, AnInitNetIsAState) {
  // op { output: "w" type: "GivenTensorFill"
  //      arg { name: "shape" ints: 2 } arg { name: "values" floats: 1, -2 } }
  std::string shape;
  PutBytes(1, "shape", &shape);
  PutInt(6, 2, &shape);
  std::string values;
  PutBytes(1, "values", &values);
  values += FromHex("2d0000803f2d000000c0");
  std::string op;
  PutBytes(2, "w", &op);
  PutBytes(4, "GivenTensorFill", &op);
  PutBytes(5, shape, &op);
  PutBytes(5, values, &op);
  std::string other;
  PutBytes(2, "y", &other);
  PutBytes(4, "ConstantFill", &other);
  std::string net;
  PutBytes(1, "init", &net);
  PutBytes(2, op, &net);
  PutBytes(2, other, &net);
  EXPECT_EQ(RecogniseForm(Memory(net, "x.pb")), Form::kNetDef);
  const auto parsed = ParseCaffe2(Memory(net, "x.pb"), Form::kNetDef);
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_EQ(parsed->layout.format, "netdef");
  ASSERT_THAT(parsed->layout.tensors, SizeIs(1));
  EXPECT_EQ(parsed->layout.tensors[0].view.spec.name, "w");
  EXPECT_EQ(parsed->image->size(), 8u);
  EXPECT_THAT(parsed->layout.others, SizeIs(1));
  EXPECT_THAT(parsed->layout.others[0].record, HasSubstr("'ConstantFill'"));
}

TEST(Caffe2Reader, AStringIsBytes) {
  BlobMessage blob;
  blob.name = "s";
  blob.type = "std::string";
  blob.content = std::string("a\0b", 3);
  const auto parsed = ParseMinidb(Record("s", *Encode(blob)));
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_EQ(parsed->layout.state.root.Find("s")->As<Bytes>()->data,
            *blob.content);
  ExpectCorrupt(Record("s", *Encode(blob)) + Record("s", *Encode(blob)),
                "blob duplicated");
}

}  // namespace
}  // namespace caisson::caffe2
