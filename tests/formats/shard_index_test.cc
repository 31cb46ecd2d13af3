// SPDX-License-Identifier: Apache-2.0
#include "core/formats/safetensors/shard_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "tests/support/pattern_tensor.h"
#include "tests/support/status_matchers.h"

namespace caisson::safetensors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Result<ShardIndex> ParseText(const std::string& text) {
  return ParseIndex(std::as_bytes(std::span(text)));
}

TEST(ShardIndex, ReadsWhatItWrites) {
  ShardIndex index;
  index.total_size = 12;
  index.files = {{"b", "m-00002-of-00002.safetensors"},
                 {"\u00fc", "m-00001-of-00002.safetensors"}};
  const std::string json = IndexJson(index);
  // json.dumps(index, indent=2, sort_keys=True) + "\n"
  EXPECT_EQ(json,
            "{\n  \"metadata\": {\n    \"total_size\": 12\n  },\n"
            "  \"weight_map\": {\n"
            "    \"b\": \"m-00002-of-00002.safetensors\",\n"
            "    \"\\u00fc\": \"m-00001-of-00002.safetensors\"\n  }\n}\n");
  const Result<ShardIndex> parsed = ParseText(json);
  ASSERT_THAT(parsed.status(), IsOk());
  EXPECT_EQ(parsed->files, index.files);
  EXPECT_EQ(parsed->total_size, 12u);
  EXPECT_THAT(parsed->Shards(), ElementsAre("m-00001-of-00002.safetensors",
                                            "m-00002-of-00002.safetensors"));
}

TEST(ShardIndex, TakesOthersWithoutATotal) {
  for (const char* metadata : {"", "\"metadata\":null,", "\"metadata\":{},",
                               "\"metadata\":{\"total_size\":1.5},"}) {
    const auto parsed = ParseText(std::string("{") + metadata +
                                  "\"weight_map\":{\"a\":\"f\"}}");
    ASSERT_THAT(parsed.status(), IsOk()) << metadata;
    EXPECT_EQ(parsed->total_size, 0u);
    EXPECT_THAT(parsed->files, ElementsAre(Pair("a", "f")));
  }
}

TEST(ShardIndex, RefusesNamesOutsideItsFolder) {
  for (const char* file :
       {"../x", "/x", "a/b", "..", ".", "", "a\\\\b", "x\\u0000"}) {
    EXPECT_THAT(
        ParseText(std::string("{\"weight_map\":{\"a\":\"") + file + "\"}}")
            .status(),
        StatusIs(StatusCode::kCorrupt, HasSubstr("'a'")))
        << file;
  }
}

TEST(ShardIndex, RefusesWhatIsNoIndex) {
  for (const char* text : {"", "[]", "{", "{}", "{\"weight_map\":[]}",
                           "{\"weight_map\":{\"a\":1}}"}) {
    EXPECT_THAT(ParseText(text).status(),
                StatusIs(StatusCode::kCorrupt, HasSubstr("index: ")))
        << text;
  }
}

TEST(SplitTensors, FillsFilesInOrderAndGivesALargeTensorItsOwn) {
  const auto split = [](std::vector<int64_t> sizes, uint64_t most) {
    std::vector<FlatTensor> tensors;
    for (const int64_t size : sizes) {
      tensors.push_back({"t", PatternTensor(DType::kUInt8, {size}, 0)});
    }
    std::vector<std::vector<uint64_t>> runs;
    for (const auto& run : SplitTensors(std::move(tensors), most)) {
      runs.emplace_back();
      for (const FlatTensor& tensor : run) {
        runs.back().push_back(tensor.view.spec.bytes());
      }
    }
    return runs;
  };
  using Run = std::vector<uint64_t>;
  EXPECT_THAT(split({4, 6, 1, 0, 9}, 10), ElementsAre(Run{4, 6}, Run{1, 0, 9}));
  EXPECT_THAT(split({4, 11, 1}, 10), ElementsAre(Run{4}, Run{11}, Run{1}));
  EXPECT_THAT(split({11, 0, 1}, 10), ElementsAre(Run{11, 0}, Run{1}));
  EXPECT_THAT(split({5, 6}, UINT64_MAX), ElementsAre(Run{5, 6}));
  EXPECT_THAT(split({}, 10), ElementsAre(Run{}));
}

TEST(ShardName, CountsFromOne) {
  EXPECT_EQ(ShardName("model.safetensors", 1, 3),
            "model-00002-of-00003.safetensors");
  EXPECT_EQ(ShardName("m", 99'999, 100'000), "m-100000-of-100000.safetensors");
  EXPECT_EQ(IndexName("model.safetensors"), "model.safetensors.index.json");
}

}  // namespace
}  // namespace caisson::safetensors
