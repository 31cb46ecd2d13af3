// SPDX-License-Identifier: Apache-2.0
//
// What the safetensors reader takes, what it refuses, and in which order:
// formats.md 4.2. The crate's own answers to the same files are compared in
// tests/peers/safetensors_peer.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "tests/formats/safetensors_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// {"a": F32 [1]} with `change` in place of a part of it.
std::string OneTensor(const std::string& dtype = "\"F32\"",
                      const std::string& shape = "[1]",
                      const std::string& offsets = "[0,4]",
                      const std::string& more = "") {
  return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + more + "}}";
}

void ExpectRefused(const std::string& file, std::string_view error) {
  const Result<Layout> layout = Parse(file);
  EXPECT_THAT(layout.status(),
              StatusIs(StatusCode::kCorrupt,
                       AllOf(StartsWith("model.safetensors: header at 0: "),
                             HasSubstr(std::string(error) + ": "))))
      << file;
}

void ExpectAccepted(const std::string& file) {
  EXPECT_THAT(Parse(file).status(), IsOk()) << file;
}

TEST(SafetensorsReader, PlacesTensorsInTheOrderOfTheirData) {
  const std::string json =
      R"({"__metadata__":{"k":"v"},)"
      R"("late":{"dtype":"I64","shape":[],"data_offsets":[4,12]},)"
      R"("x.y":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})";
  const Result<Layout> layout =
      Parse(SafetensorsFile(json, std::string(12, 'x')));
  ASSERT_THAT(layout.status(), IsOk());
  EXPECT_EQ(layout->format, "safetensors");
  EXPECT_THAT(layout->state.metadata, ElementsAre(testing::Pair("k", "v")));
  ASSERT_EQ(layout->tensors.size(), 2u);
  const TensorLayout& first = layout->tensors[0];
  EXPECT_EQ(first.view.spec.name, "x.y");
  EXPECT_EQ(first.path, Path({"x.y"}));
  EXPECT_EQ(first.view.spec.dtype, DType::kBFloat16);
  EXPECT_THAT(first.view.spec.shape, ElementsAre(1, 2));
  EXPECT_THAT(first.view.strides, ElementsAre(2, 1));
  EXPECT_THAT(layout->tensors[1].view.spec.shape, ElementsAre());
  const Piece& piece = layout->storages[1].pieces.front();
  EXPECT_EQ(piece.offset, 8 + json.size() + 4);
  EXPECT_EQ(piece.stored_bytes, 8u);
  EXPECT_EQ(piece.elems, 1u);
  EXPECT_FALSE(piece.crc32.has_value());
}

TEST(SafetensorsReader, TakesWhatTheCrateTakes) {
  ExpectAccepted(SafetensorsFile("{}"));
  ExpectAccepted(SafetensorsFile(" \t\r\n{}  \n"));
  ExpectAccepted(SafetensorsFile("{\"__metadata__\":null}"));
  ExpectAccepted(SafetensorsFile("{\"__metadata__\":{}}"));
  ExpectAccepted(SafetensorsFile(OneTensor(), "abcd"));
  ExpectAccepted(SafetensorsFile(OneTensor("\"F32\"", "[]"), "abcd"));
  ExpectAccepted(SafetensorsFile(OneTensor("\"F4\"", "[8]"), "abcd"));
  ExpectAccepted(
      SafetensorsFile(OneTensor("\"F6_E2M3\"", "[4]", "[0,3]"), "abc"));
  // Fields that it does not know, whatever they hold.
  for (const char* value :
       {"null", "true", "-1.5e3", "\"x\"", "[1,[2,{}]]", "{\"dtype\":[]}"}) {
    ExpectAccepted(SafetensorsFile(
        OneTensor("\"F32\"", "[1]", "[0,4]", ",\"more\":"s + value), "abcd"));
  }
}

TEST(SafetensorsReader, TakesAnyNameThatJsonCanSpell) {
  for (const char* name : {"", "\\u0000", "\\\"\\\\", "\u00fc",
                           "\\ud83d\\ude00", "__metadata", "a/b c"}) {
    ExpectAccepted(SafetensorsFile(
        "{\""s + name +
            "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "x"));
  }
}

TEST(SafetensorsReader, TakesEmptyTensorsAnywhere) {
  const std::string json =
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("front":{"dtype":"F64","shape":[0],"data_offsets":[0,0]},)"
      R"("end":{"dtype":"F64","shape":[7,0,3],"data_offsets":[4,4]}})";
  const Result<Layout> layout = Parse(SafetensorsFile(json, "abcd"));
  ASSERT_THAT(layout.status(), IsOk());
  std::vector<std::string> names;
  for (const auto& tensor : layout->tensors) {
    names.push_back(tensor.view.spec.name);
  }
  EXPECT_THAT(names, ElementsAre("front", "b", "end"));
}

TEST(SafetensorsReader, HalvesTheLastDimensionOfF4) {
  const Result<Layout> layout =
      Parse(SafetensorsFile(OneTensor("\"F4\"", "[2,4]"), "abcd"));
  ASSERT_THAT(layout.status(), IsOk());
  const TensorSpec& spec = layout->tensors[0].view.spec;
  EXPECT_EQ(spec.dtype, DType::kFloat4E2M1FnX2);
  EXPECT_THAT(spec.shape, ElementsAre(2, 2));
  // Valid for the crate, and nothing that torch could hold.
  EXPECT_THAT(
      Parse(SafetensorsFile(OneTensor("\"F4\"", "[2,3]", "[0,3]"), "abc"))
          .status(),
      StatusIs(StatusCode::kUnsupported, HasSubstr("odd")));
}

TEST(SafetensorsReader, KnowsEveryDType) {
  size_t known = 0;
  for (const DType dtype : AllDTypes()) {
    const std::string name(SafetensorsName(dtype));
    if (name.empty()) continue;
    ++known;
    const size_t bits = dtype == DType::kFloat4E2M1FnX2 ? 4 : BitWidth(dtype);
    const std::string file = SafetensorsFile(
        OneTensor('"' + name + '"', "[8]", "[0," + std::to_string(bits) + "]"),
        std::string(bits, 'x'));
    const Result<Layout> layout = Parse(file);
    ASSERT_THAT(layout.status(), IsOk()) << name;
    EXPECT_EQ(layout->tensors[0].view.spec.dtype, dtype);
    EXPECT_EQ(layout->tensors[0].view.spec.bytes(), bits);
  }
  EXPECT_EQ(known, 22u);
}

TEST(SafetensorsReader, RefusesHeadersThatCannotBe) {
  for (size_t bytes = 0; bytes < 8; ++bytes) {
    ExpectRefused(std::string(bytes, '\0'), "HeaderTooSmall");
  }
  std::string large(16, '\0');
  StoreLittle<uint64_t>(100'000'001, large.data());
  ExpectRefused(large, "HeaderTooLarge");
  StoreLittle<uint64_t>(UINT64_MAX, large.data());
  ExpectRefused(large, "HeaderTooLarge");
  StoreLittle<uint64_t>(100'000'000, large.data());
  ExpectRefused(large, "InvalidHeaderLength");
  StoreLittle<uint64_t>(9, large.data());
  ExpectRefused(large, "InvalidHeaderLength");
  ExpectRefused(std::string(8, '\0'), "InvalidHeaderDeserialization");
}

TEST(SafetensorsReader, RefusesALengthBeforeItTakesMemory) {
  std::string file(64, '\0');
  StoreLittle<uint64_t>(100'000'000, file.data());
  const AllocationMeter meter;
  ExpectRefused(file, "InvalidHeaderLength");
  EXPECT_LT(meter.PeakBytes(), 1u << 20);
}

TEST(SafetensorsReader, RefusesWhatIsNoUtf8BeforeWhatIsNoJson) {
  for (const char* text : {"{\"\xff\":", "\xc0\x80", "{\"\xed\xa0\x80\":1}",
                           "{\"\xf4\x90\x80\x80\"", "{}\x80"}) {
    ExpectRefused(SafetensorsFile(text), "InvalidHeader");
  }
}

TEST(SafetensorsReader, RefusesWhatIsNoHeader) {
  const std::vector<std::string> headers = {
      "",
      " ",
      "{",
      "{}}",
      "{} x",
      "[]",
      "null",
      "1",
      "\"a\"",
      "{}\0"s,
      "\0{}"s,
      "\xef\xbb\xbf{}",
      "// c\n{}",
      "{/**/}",
      "{'a':1}",
      "{a:1}",
      "{\"a\":1}",
      "{\"a\":null}",
      "{\"a\":[]}",
      "{\"a\":{}}",
      "{\"__metadata__\":1}",
      "{\"__metadata__\":[]}",
      "{\"__metadata__\":{\"k\":1}}",
      "{\"__metadata__\":{\"k\":null}}",
      "{\"__metadata__\":{\"k\":{}}}",
      "{\"__metadata__\":{},\"__metadata__\":{}}",
      "{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      OneTensor() + ",",
      OneTensor("\"f32\""),
      OneTensor("\"F31\""),
      OneTensor("32"),
      OneTensor("null"),
      OneTensor("[\"F32\"]"),
      OneTensor("\"F32\"", "1"),
      OneTensor("\"F32\"", "null"),
      OneTensor("\"F32\"", "[1.0]"),
      OneTensor("\"F32\"", "[1e0]"),
      OneTensor("\"F32\"", "[-1]"),
      OneTensor("\"F32\"", "[-0]"),
      OneTensor("\"F32\"", "[\"1\"]"),
      OneTensor("\"F32\"", "[[1]]"),
      OneTensor("\"F32\"", "[01]"),
      OneTensor("\"F32\"", "[1,]"),
      OneTensor("\"F32\"", "[18446744073709551616]"),
      OneTensor("\"F32\"", "[true]"),
      OneTensor("\"F32\"", "[NaN]"),
      OneTensor("\"F32\"", "[1]", "[0]"),
      OneTensor("\"F32\"", "[1]", "[]"),
      OneTensor("\"F32\"", "[1]", "[0,4,8]"),
      OneTensor("\"F32\"", "[1]", "[0,-4]"),
      OneTensor("\"F32\"", "[1]", "[0,4.0]"),
      OneTensor("\"F32\"", "[1]", "{\"0\":0}"),
      OneTensor("\"F32\"", "[1]", "[0,4]", ",\"dtype\":\"F32\""),
      OneTensor("\"F32\"", "[1]", "[0,4]", ",\"shape\":[1]"),
      OneTensor("\"F32\"", "[1]", "[0,4]", ",\"more\":nul"),
      "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}",
      "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",
  };
  for (const std::string& header : headers) {
    ExpectRefused(SafetensorsFile(header, "abcd"),
                  "InvalidHeaderDeserialization");
  }
}

// The crate takes the last one: docs/formats.md.
TEST(SafetensorsReader, RefusesANameTwice) {
  const std::string entry =
      R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  ExpectRefused(SafetensorsFile(
                    "{\"a\":" + entry + ",\"\\u0061\":" + entry + "}", "abcd"),
                "InvalidHeaderDeserialization");
}

TEST(SafetensorsReader, RefusesHolesAndOverlaps) {
  ExpectRefused(SafetensorsFile(OneTensor("\"F32\"", "[1]", "[1,5]"), "abcde"),
                "InvalidOffset");
  ExpectRefused(SafetensorsFile(OneTensor("\"F32\"", "[1]", "[4,0]"), "abcd"),
                "InvalidOffset");
  const auto two = [](const std::string& second) {
    return SafetensorsFile(
        R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
        R"("b":{"dtype":"U8","shape":[2],"data_offsets":)" +
            second + "}}",
        "abcd");
  };
  ExpectAccepted(two("[2,4]"));
  for (const char* range :
       {"[0,2]", "[1,3]", "[3,5]", "[2,1]", "[18446744073709551615,1]"}) {
    ExpectRefused(two(range), "InvalidOffset");
  }
}

TEST(SafetensorsReader, RefusesShapesThatDoNotFit) {
  const auto file = [](const std::string& dtype, const std::string& shape,
                       const std::string& offsets) {
    return SafetensorsFile(OneTensor(dtype, shape, offsets), "abcd");
  };
  // Both forms: the product, and its bits.
  ExpectRefused(file("\"U8\"", "[4294967296,4294967296]", "[0,4]"),
                "ValidationOverflow");
  ExpectRefused(file("\"U8\"", "[18446744073709551615]", "[0,4]"),
                "ValidationOverflow");
  ExpectRefused(file("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"),
                "ValidationOverflow");
  ExpectRefused(file("\"F4\"", "[3]", "[0,4]"), "MisalignedSlice");
  ExpectRefused(file("\"F6_E3M2\"", "[]", "[0,4]"), "MisalignedSlice");
  ExpectRefused(file("\"F32\"", "[2]", "[0,4]"), "TensorInvalidInfo");
  ExpectRefused(file("\"F32\"", "[0]", "[0,4]"), "TensorInvalidInfo");
}

TEST(SafetensorsReader, RefusesFilesOfAnotherLength) {
  ExpectRefused(SafetensorsFile(OneTensor(), "abc"),
                "MetadataIncompleteBuffer");
  ExpectRefused(SafetensorsFile(OneTensor(), "abcde"),
                "MetadataIncompleteBuffer");
  ExpectRefused(SafetensorsFile("{}", "a"), "MetadataIncompleteBuffer");
}

// A zero on the left hides the product from the crate; torch has no such shape.
TEST(SafetensorsReader, SaysWhenAValidShapeIsTooLargeForTorch) {
  for (const char* shape :
       {"[0,18446744073709551615]", "[0,4611686018427387904,4]"}) {
    EXPECT_THAT(
        Parse(SafetensorsFile(OneTensor("\"F32\"", shape, "[0,0]"))).status(),
        StatusIs(StatusCode::kUnsupported, HasSubstr("tensor 'a'")))
        << shape;
  }
}

TEST(SafetensorsReader, LimitsNestingAsTheCrateDoes) {
  const auto nested = [](size_t levels) {
    return SafetensorsFile(OneTensor("\"F32\"", "[1]", "[0,4]",
                                     ",\"more\":" + std::string(levels, '[') +
                                         std::string(levels, ']')),
                           "abcd");
  };
  ExpectAccepted(nested(125));
  ExpectRefused(nested(126), "InvalidHeaderDeserialization");
  ExpectRefused(nested(1'000'000), "InvalidHeaderDeserialization");
}

TEST(SafetensorsReader, ReadsAHundredThousandNames) {
  std::string json = "{";
  for (int i = 0; i < 100'000; ++i) {
    if (i > 0) json += ',';
    json += "\"n" + std::to_string(i) +
            R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  const Result<Layout> layout = Parse(SafetensorsFile(json + "}"));
  ASSERT_THAT(layout.status(), IsOk());
  EXPECT_EQ(layout->tensors.size(), 100'000u);
}

TEST(SafetensorsReader, GivesTensorsTheCrcsOfTheMetadata) {
  const auto file = [](const std::string& crcs) {
    return SafetensorsFile(
        R"({"__metadata__":{"caisson.crc32":")" + crcs +
            R"(","k":"v"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
            R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
        "xy");
  };
  const Result<Layout> layout = Parse(file("0123456789abcdef"));
  ASSERT_THAT(layout.status(), IsOk());
  EXPECT_EQ(layout->storages[0].pieces[0].crc32, 0x01234567u);
  EXPECT_EQ(layout->storages[1].pieces[0].crc32, 0x89abcdefu);
  EXPECT_THAT(layout->state.metadata, ElementsAre(testing::Pair("k", "v")));
  // Not of these tensors: another program has written them since.
  for (const char* text : {"", "01234567", "0123456789abcdef0",
                           "0123456789abcdeg", "0123456789abcdef01234567"}) {
    const Result<Layout> other = Parse(file(text));
    ASSERT_THAT(other.status(), IsOk()) << text;
    EXPECT_FALSE(other->storages[0].pieces[0].crc32.has_value()) << text;
  }
}

TEST(SafetensorsReader, RefusesEveryTruncation) {
  const std::string file = SafetensorsFile(OneTensor(), "abcd");
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_THAT(Parse(file.substr(0, bytes)).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("model.safetensors")));
  }
}

}  // namespace
}  // namespace caisson
