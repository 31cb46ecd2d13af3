// SPDX-License-Identifier: Apache-2.0
//
// What the safetensors writer lays out. The golden bytes are those of the
// crate's own test_serialization tests.
#include "core/formats/safetensors/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "caisson/crc32.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/safetensors/header.h"
#include "tests/formats/part_runner.h"
#include "tests/formats/safetensors_code.h"
#include "tests/support/pattern_tensor.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using safetensors::WriteOptions;
using safetensors::WriteSafetensors;
using testing::HasSubstr;

Result<std::string> FileOf(std::vector<FlatTensor> tensors,
                           const WriteOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(const auto parts,
                           WriteSafetensors(std::move(tensors), options));
  CAISSON_ASSIGN_OR_RETURN(std::string file, RunParts(*parts));
  EXPECT_EQ(parts->BytesBound(), file.size());
  return file;
}

// As the library writes: without CRCs.
std::string PlainFile(std::vector<FlatTensor> tensors) {
  WriteOptions options;
  options.checksums = false;
  const Result<std::string> file = FileOf(std::move(tensors), options);
  EXPECT_THAT(file.status(), IsOk());
  return file.has_value() ? *file : "";
}

FlatTensor Pattern(const std::string& name, DType dtype,
                   std::vector<int64_t> shape) {
  return {name, PatternTensor(dtype, std::move(shape), 0)};
}

// 0.0 to 5.0
FlatTensor SixFloats(const std::string& name, std::vector<int64_t> shape) {
  FlatTensor tensor = Pattern(name, DType::kFloat32, std::move(shape));
  for (size_t i = 0; i < 6; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(tensor.view.storage->region.data + 4 * i, &value, 4);
  }
  return tensor;
}

const std::string& SixFloatBytes() {
  static const std::string bytes(
      "\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40", 24);
  return bytes;
}

TEST(SafetensorsWriter, WritesTheGoldenBytes) {
  EXPECT_EQ(PlainFile({SixFloats("attn.0", {1, 2, 3})}),
            SafetensorsFile(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],)"
                            R"("data_offsets":[0,24]}})",
                            SixFloatBytes()));
  // 64 bytes of header need no padding, 65 take 7 blanks.
  EXPECT_EQ(PlainFile({SixFloats("attn0", {1, 1, 2, 3})}),
            SafetensorsFile(R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],)"
                            R"("data_offsets":[0,24]}}       )",
                            SixFloatBytes()));
  EXPECT_EQ(PlainFile({}), SafetensorsFile("{}      "));
  EXPECT_EQ(PlainFile({Pattern("attn.0", DType::kFloat4E2M1FnX2, {1, 2, 1})}),
            SafetensorsFile(R"({"attn.0":{"dtype":"F4","shape":[1,2,2],)"
                            R"("data_offsets":[0,2]}}  )",
                            std::string("\0\1", 2)));
}

TEST(SafetensorsWriter, OrdersByDTypeThenByName) {
  // Narrow to wide, as 4.3 lists them; the file has them the other way.
  const std::vector<const char*> order = {
      "BOOL",    "F4",      "F6_E2M3", "F6_E3M2",     "U8",          "I8",
      "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",
      "U16",     "F16",     "BF16",    "I32",         "U32",         "F32",
      "C64",     "F64",     "I64",     "U64"};
  std::vector<FlatTensor> tensors;
  for (const char* name : order) {
    const DType dtype = *ParseSafetensorsName(name);
    tensors.push_back(Pattern(std::string("b") + name, dtype, {4}));
    tensors.push_back(Pattern(std::string("a") + name, dtype, {4}));
  }
  const Result<Layout> layout = Parse(PlainFile(std::move(tensors)));
  ASSERT_THAT(layout.status(), IsOk());
  ASSERT_EQ(layout->tensors.size(), 2 * order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string name = order[order.size() - 1 - i];
    EXPECT_EQ(layout->tensors[2 * i].view.spec.name, "a" + name);
    EXPECT_EQ(layout->tensors[2 * i + 1].view.spec.name, "b" + name);
  }
}

TEST(SafetensorsWriter, SortsTheMetadataAndWritesItFirst) {
  WriteOptions options;
  options.checksums = false;
  options.metadata = {{"z", "\"\n\x01\x7f"}, {"format", "pt"}, {"\u00e4", ""}};
  const auto file = FileOf({Pattern("\u00fc\t", DType::kUInt8, {1})}, options);
  ASSERT_THAT(file.status(), IsOk());
  EXPECT_THAT(*file,
              HasSubstr("{\"__metadata__\":{\"format\":\"pt\",\"z\":\"\\\"\\n"
                        "\\u0001\x7f\",\"\u00e4\":\"\"},\"\u00fc\\t\":{"));
}

TEST(SafetensorsWriter, PutsTheCrcsIntoTheMetadata) {
  const std::vector<FlatTensor> tensors = {
      Pattern("b", DType::kFloat32, {3}), Pattern("a", DType::kFloat32, {0}),
      Pattern("c", DType::kInt64, {2}), Pattern("d", DType::kBool, {5})};
  WriteOptions options;
  // Of another file; it must not stay.
  options.metadata = {{"caisson.crc32", "00000000"}, {"k", "v"}};
  const auto file = FileOf(tensors, options);
  ASSERT_THAT(file.status(), IsOk());
  const Result<Layout> layout = Parse(*file);
  ASSERT_THAT(layout.status(), IsOk());
  ASSERT_EQ(layout->storages.size(), 4u);
  for (const StorageLayout& storage : layout->storages) {
    const Piece& piece = storage.pieces.front();
    const std::string bytes = file->substr(piece.offset, piece.stored_bytes);
    EXPECT_EQ(piece.crc32, Crc32(0, std::as_bytes(std::span(bytes))))
        << storage.record;
  }
  EXPECT_EQ(layout->storages[1].record, "a");
  EXPECT_EQ(layout->storages[1].pieces.front().crc32, 0u);
}

TEST(SafetensorsWriter, WritesWhatLiesInTheMiddleOfAStorage) {
  const TensorView base = PatternTensor(DType::kInt16, {10}, 0);
  const std::string file = PlainFile({{"v", ViewOf(base, {2, 2}, {2, 1}, 3)}});
  EXPECT_THAT(file, testing::EndsWith("\x06\x07\x08\x09\x0a\x0b\x0c\x0d"));
}

TEST(SafetensorsWriter, RefusesNamesThatAHeaderCannotHold) {
  const auto refused = [](const std::string& name) {
    return WriteSafetensors({Pattern(name, DType::kUInt8, {1})}, {}).status();
  };
  EXPECT_THAT(refused("__metadata__"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("metadata")));
  EXPECT_THAT(refused("\xff"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  // Python's surrogateescape.
  EXPECT_THAT(refused("\xed\xb3\xbf"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  WriteOptions options;
  options.metadata = {{"k", "\x80"}};
  EXPECT_THAT(WriteSafetensors({}, options).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("'k'")));
}

TEST(SafetensorsWriter, RefusesTensorsThatFillNoWholeBytes) {
  EXPECT_THAT(
      WriteSafetensors({Pattern("x", DType::kFloat6E2M3, {3})}, {}).status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("'x'")));
  EXPECT_THAT(
      WriteSafetensors({Pattern("x", DType::kFloat4E2M1FnX2, {})}, {}).status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("'x'")));
}

TEST(SafetensorsWriter, RefusesAHeaderThatNobodyWouldRead) {
  WriteOptions options;
  options.metadata = {{"k", std::string(100'000'000, 'x')}};
  EXPECT_THAT(WriteSafetensors({}, options).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("100000000")));
}

}  // namespace
}  // namespace caisson
