// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "core/formats/dcp/manifest.h"
#include "tests/formats/dcp_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::dcp {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Result<Checkpoint> ParseText(const std::string& text) {
  return ParseManifest(std::as_bytes(std::span(text)));
}

// Of two chunks, a value, and a path each.
std::string Example() {
  return Manifest(
      TensorEntry({4, 3}, {{{0, 0}, {3, 3}}, {{3, 0}, {1, 3}}}, "bfloat16") +
          R"(,"v":{"bytes":true})",
      PlaceEntry("[3,0]", "b.pt") + "," + PlaceEntry("[0,0]") + "," +
          PlaceEntry("null", "b.pt", "v"),
      R"({"t":["model",0,"w"],"v":["v"]})");
}

TEST(DcpManifest, ReadsTensorsValuesAndPaths) {
  const auto parsed = ParseText(Example());
  ASSERT_THAT(parsed, IsOk());
  ASSERT_THAT(parsed->items, SizeIs(2));
  const Item& tensor = parsed->items[0];
  EXPECT_EQ(tensor.fqn, "t");
  EXPECT_TRUE(tensor.is_tensor);
  EXPECT_EQ(Join(tensor.path), "model.0.w");
  EXPECT_EQ(tensor.dtype, DType::kBFloat16);
  EXPECT_THAT(tensor.shape, ElementsAre(4, 3));
  ASSERT_THAT(tensor.chunks, SizeIs(2));
  EXPECT_THAT(tensor.chunks[1].offsets, ElementsAre(3, 0));
  EXPECT_THAT(tensor.chunks[1].sizes, ElementsAre(1, 3));
  EXPECT_EQ(tensor.chunks[0].place.file, "a.pt");
  EXPECT_EQ(tensor.chunks[1].place.file, "b.pt");
  EXPECT_EQ(tensor.chunks[1].place.record, "data/0");
  EXPECT_EQ(tensor.chunks[1].place.offset, 64u);
  EXPECT_EQ(tensor.chunks[1].place.bytes, 12u);
  EXPECT_EQ(tensor.chunks[1].place.crc32, 5u);
  EXPECT_FALSE(parsed->items[1].is_tensor);
  EXPECT_EQ(parsed->items[1].place.file, "b.pt");
}

TEST(DcpManifest, KeepsTheOrderAndTakesNamesForPaths) {
  std::string state;
  std::string storage;
  for (const char* name : {"z", "a", "m"}) {
    if (!state.empty()) state += ",", storage += ",";
    state += std::string("\"") + name + R"(":{"bytes":true})";
    storage += PlaceEntry("null", "a.pt", name);
  }
  const auto parsed = ParseText(Manifest(state, storage));
  ASSERT_THAT(parsed, IsOk());
  std::string names;
  for (const Item& item : parsed->items) names += Join(item.path);
  EXPECT_EQ(names, "zam");
}

TEST(DcpManifest, FindsEveryFlippedBit) {
  const std::string whole = Example();
  ASSERT_THAT(ParseText(whole), IsOk());
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int bit : {0, 3, 5}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      EXPECT_THAT(ParseText(damaged), testing::Not(IsOk())) << at;
    }
  }
}

TEST(DcpManifest, IsCorruptWhereverItEnds) {
  const std::string whole = Example();
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(ParseText(whole.substr(0, bytes)),
                StatusIs(StatusCode::kCorrupt))
        << bytes;
  }
}

TEST(DcpManifest, RefusesWhatItsChunksDoNotCover) {
  EXPECT_THAT(ParseText(ManifestOf({4}, {{{0}, {3}}})),
              StatusIs(StatusCode::kCorrupt, HasSubstr("hole")));
  EXPECT_THAT(ParseText(ManifestOf({4}, {{{0}, {3}}, {{2}, {2}}})),
              StatusIs(StatusCode::kCorrupt, HasSubstr("overlaps")));
  EXPECT_THAT(
      ParseText(Manifest(TensorEntry({4}, {{{0}, {4}}}), PlaceEntry("[1]"))),
      StatusIs(StatusCode::kCorrupt, HasSubstr("nowhere")));
  EXPECT_THAT(ParseText(Manifest(TensorEntry({4}, {{{0}, {4}}}),
                                 PlaceEntry("[0]") + "," + PlaceEntry("[0]"))),
              StatusIs(StatusCode::kCorrupt, HasSubstr("twice")));
  EXPECT_THAT(ParseText(Manifest(R"("v":{"bytes":true})", "")),
              StatusIs(StatusCode::kCorrupt,
                       AllOf(HasSubstr("'v'"), HasSubstr("nowhere"))));
}

TEST(DcpManifest, RefusesFilesOfOtherFolders) {
  for (const char* file :
       {"../a", "/a", "a/b", "..", ".", "", "a\\\\b", "a\\u0000b"}) {
    EXPECT_THAT(ParseText(Manifest(TensorEntry({4}, {{{0}, {4}}}),
                                   PlaceEntry("[0]", file))),
                StatusIs(StatusCode::kCorrupt, HasSubstr("names no file")))
        << file;
  }
}

TEST(DcpManifest, RefusesWhatIsNone) {
  const std::string tensor = TensorEntry({4}, {{{0}, {4}}});
  const std::string place = PlaceEntry("[0]");
  const auto with = [](std::string text, const std::string& from,
                       const std::string& to) {
    const size_t at = text.find(from);
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  };
  const auto altered = [&](const std::string& from, const std::string& to) {
    return Manifest(with(tensor, from, to), with(place, from, to));
  };
  for (const std::string& text :
       {std::string(),
        std::string("[]"),
        std::string("null"),
        std::string("{}"),
        std::string(100000, '['),
        altered("\"size\":[4]", "\"size\":4"),
        altered("\"size\":[4]", "\"size\":[4.0]"),
        altered("\"size\":[4]", "\"size\":[true]"),
        altered("\"size\":[4]", "\"size\":[18446744073709551615]"),
        altered("\"chunks\"", "\"chunk\""),
        altered("\"dtype\":\"float32\"", "\"dtype\":32"),
        altered("\"offsets\"", "\"offset\""),
        altered("\"at\":64", "\"at\":-64"),
        altered("\"at\":64", "\"at\":1e3"),
        altered("\"bytes\":12", "\"bytes\":null"),
        altered("\"crc32\":5", "\"crc32\":4294967296"),
        altered("\"record\"", "\"rec\""),
        altered("\"fqn\"", "\"f\""),
        altered("\"offset\":[0]", "\"offset\":\"0\""),
        Manifest(tensor + "," + tensor, place),
        Manifest(tensor, place, "[]"),
        Manifest(tensor, place, R"({"t":1})"),
        Manifest(tensor, place, R"({"t":[]})"),
        Manifest(tensor, place, R"({"t":[null]})")}) {
    EXPECT_THAT(ParseText(text), StatusIs(StatusCode::kCorrupt)) << text;
  }
  for (const std::string& text :
       {altered("float32", "float3"), altered("float32", "quint4x2"),
        Sealed(with(Manifest(tensor, place), ".dcp", ".dcpx")),
        Sealed(
            with(Manifest(tensor, place), "\"version\":1", "\"version\":2"))}) {
    EXPECT_THAT(ParseText(text), StatusIs(StatusCode::kUnsupported)) << text;
  }
}

// Brackets and short fields cost most.
TEST(DcpManifest, TakesAMultipleOfItsSize) {
  std::string flat = "[0";
  for (int i = 0; i < 200000; ++i) flat += ",{}";
  std::string fields = "{\"\":0";
  for (int i = 0; i < 200000; ++i) fields += ",\"\":0";
  for (const std::string& text : {flat + "]", fields + "}"}) {
    const AllocationMeter meter;
    EXPECT_THAT(ParseText(text), StatusIs(StatusCode::kCorrupt));
    EXPECT_LT(meter.PeakBytes(), 65536 + 100 * text.size());
  }
}

}  // namespace
}  // namespace caisson::dcp
