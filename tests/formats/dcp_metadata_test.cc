// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "core/formats/dcp/metadata.h"
#include "tests/formats/dcp_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::dcp {
namespace {

using pickle::Class;
using pickle::Get;
using pickle::Int;
using pickle::Put;
using pickle::Str;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Result<Checkpoint> ParseCode(const std::string& code) {
  return ParseMetadata(std::as_bytes(std::span(code)));
}

const std::vector<Box> kHalves = {{{0, 0}, {1, 3}}, {{1, 0}, {1, 3}}};

std::string Halves() {
  return PlaceCode("t", SizeCode({1, 0}), "__1_0.distcp", 7, 1000) +
         PlaceCode("t", SizeCode({0, 0}));
}

std::string Example() {
  return MetadataCode(
      Str("t") + TensorCode({2, 3}, kHalves) + Str("v") + BytesCode(),
      Halves() + PlaceCode("v", ""),
      "}(" + Str("t") + "(" + Str("model") + Int(1) + "tu");
}

TEST(DcpMetadata, ReadsTensorsValuesAndPaths) {
  const auto parsed = ParseCode(Example());
  ASSERT_THAT(parsed, IsOk());
  ASSERT_THAT(parsed->items, SizeIs(2));
  const Item& tensor = parsed->items[0];
  EXPECT_TRUE(tensor.is_tensor);
  EXPECT_EQ(Join(tensor.path), "model.1");
  EXPECT_EQ(tensor.dtype, DType::kFloat32);
  EXPECT_THAT(tensor.shape, ElementsAre(2, 3));
  ASSERT_THAT(tensor.chunks, SizeIs(2));
  EXPECT_EQ(tensor.chunks[1].place.file, "__1_0.distcp");
  EXPECT_EQ(tensor.chunks[1].place.offset, 7u);
  EXPECT_EQ(tensor.chunks[1].place.bytes, 1000u);
  EXPECT_EQ(tensor.chunks[1].place.record, std::nullopt);
  EXPECT_EQ(Join(parsed->items[1].path), "v");
  EXPECT_EQ(parsed->items[1].place.file, "__0_0.distcp");
}

// Of torch before 2.1 and its first checkpoints.
TEST(DcpMetadata, ReadsEarlyVersions) {
  const std::string chunk =
      ObjectCode("torch.distributed._shard.metadata", "ShardMetadata",
                 {{"shard_offsets", "](" + Int(0) + "e"},
                  {"shard_sizes", "](" + Int(4) + "e"}});
  const std::string properties = ObjectCode(
      "torch.distributed._shard.sharded_tensor.metadata", "TensorProperties",
      {{"dtype", Class("torch", "int64")}, {"requires_grad", "\x89"}});
  const auto parsed = ParseCode(
      MetadataCode(Str("t") + ObjectCode(kModule, "TensorStorageMetadata",
                                         {{"properties", properties},
                                          {"size", SizeCode({4})},
                                          {"chunks", "](" + chunk + "e"}}),
                   PlaceCode("t", SizeCode({0}))));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->items[0].dtype, DType::kInt64);
}

TEST(DcpMetadata, IsCorruptWhereverItEnds) {
  const std::string whole = Example();
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(ParseCode(whole.substr(0, bytes)),
                StatusIs(StatusCode::kCorrupt))
        << bytes;
  }
}

TEST(DcpMetadata, NamesNothingButItsParts) {
  const std::string evil = Class("os", "system") + Str("true") + "\x85R";
  for (const std::string& code :
       {MetadataCode(Str("t") + evil, ""),
        MetadataCode("", "").insert(2, evil + "0"),
        MetadataCode(Str("v") + BytesCode(), PlaceCode("v", ""),
                     Class("builtins", "eval"))}) {
    EXPECT_THAT(ParseCode(code),
                StatusIs(StatusCode::kUnsupported,
                         HasSubstr("which is none of its parts")));
  }
  EXPECT_THAT(ParseCode(MetadataCode(Str("t") + Str("id") + "Q", "")),
              StatusIs(StatusCode::kUnsupported, HasSubstr("storage")));
}

TEST(DcpMetadata, RefusesTransformedItems) {
  const std::string info = ObjectCode(
      "torch.distributed.checkpoint.filesystem", "_StorageInfo",
      {{"relative_path", Str("a")},
       {"offset", Int(0)},
       {"length", Int(1)},
       {"transform_descriptors", "](" + Str("stream.zstd/1") + "e"}});
  const std::string index =
      ObjectCode(kModule, "MetadataIndex", {{"fqn", Str("v")}, {"index", "N"}});
  EXPECT_THAT(ParseCode(MetadataCode(Str("v") + BytesCode(), index + info)),
              StatusIs(StatusCode::kUnsupported, HasSubstr("'v'")));
}

TEST(DcpMetadata, RefusesWhatItsChunksDoNotCover) {
  EXPECT_THAT(
      ParseCode(MetadataCode(Str("t") + TensorCode({3, 3}, kHalves), Halves())),
      StatusIs(StatusCode::kCorrupt, HasSubstr("hole")));
  EXPECT_THAT(ParseCode(MetadataCode(Str("t") + TensorCode({2, 3}, kHalves),
                                     PlaceCode("t", SizeCode({0, 0})))),
              StatusIs(StatusCode::kCorrupt, HasSubstr("nowhere")));
  EXPECT_THAT(ParseCode(MetadataCode(Str("v") + BytesCode(), "")),
              StatusIs(StatusCode::kCorrupt, HasSubstr("nowhere")));
  EXPECT_THAT(ParseCode(MetadataCode(Str("v") + BytesCode(),
                                     PlaceCode("v", "") + PlaceCode("v", "N"))),
              StatusIs(StatusCode::kCorrupt, HasSubstr("twice")));
}

TEST(DcpMetadata, RefusesWhatIsNone) {
  const std::string value = Str("v") + BytesCode();
  for (const std::string& code :
       {std::string("\x80\x04}."), std::string("\x80\x04N."),
        "\x80\x04" + BytesCode() + ".",
        "\x80\x04" + Class(kModule, "Metadata") + ")\x81.",
        MetadataCode(Int(1) + BytesCode(), ""),
        MetadataCode(Str("v") + Int(1), PlaceCode("v", "")),
        MetadataCode(value, Int(1) + Int(2)),
        MetadataCode(value, PlaceCode("v", "", "../v")),
        MetadataCode(value, PlaceCode("v", "", "v", -1)),
        MetadataCode(value, PlaceCode("v", "", "v", 0, -1)),
        MetadataCode(value, PlaceCode("v", Int(3))),
        MetadataCode(value, PlaceCode("v", ""), "}(" + Str("v") + ")u"),
        MetadataCode(value, PlaceCode("v", ""),
                     "}(" + Str("v") + "(NtN" + "u")}) {
    EXPECT_THAT(ParseCode(code), StatusIs(StatusCode::kCorrupt));
  }
  EXPECT_THAT(ParseCode(MetadataCode(
                  Str("t") + TensorCode({2, 3}, kHalves, "qint33"), Halves())),
              StatusIs(StatusCode::kUnsupported));
}

// One list of many chunks, or one long path, under many names.
TEST(DcpMetadata, TakesAMultipleOfItsSize) {
  std::vector<Box> chunks(2000, Box{{0}, {0}});
  std::string state = Str("0") + TensorCode({0}, chunks) + Put(9);
  std::string storage = PlaceCode("0", SizeCode({0}));
  for (int i = 1; i < 2000; ++i) {
    state += Str(std::to_string(i)) + Get(9);
    storage += PlaceCode(std::to_string(i), SizeCode({0}));
  }
  std::string values;
  std::string paths = "}(";
  for (int i = 0; i < 2000; ++i) {
    values += Str(std::to_string(i)) + BytesCode();
    paths += Str(std::to_string(i));
    paths +=
        i == 0 ? "(" + Str(std::string(60000, 'x')) + "t" + Put(7) : Get(7);
  }
  for (const std::string& code :
       {MetadataCode(state, storage), MetadataCode(values, "", paths + "u")}) {
    const AllocationMeter meter;
    EXPECT_THAT(ParseCode(code), StatusIs(StatusCode::kCorrupt));
    EXPECT_LT(meter.PeakBytes(), 65536 + 400 * code.size());
  }
}

}  // namespace
}  // namespace caisson::dcp
