// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/formats/dcp/nested_state.h"
#include "tests/support/node_text.h"
#include "tests/support/status_matchers.h"

namespace caisson::dcp {
namespace {

using testing::HasSubstr;

// The state of values 0, 1, ... under those paths as text, or what is wrong.
std::string Nested(const std::vector<Path>& paths) {
  NestedState state;
  for (size_t i = 0; i < paths.size(); ++i) {
    const Status status = state.Put(paths[i], Node(static_cast<int64_t>(i)));
    if (!status.ok()) return status.ToString();
  }
  const Result<Node> root = state.Finish();
  return root ? NodeText(*root) : root.error().ToString();
}

TEST(DcpNestedState, NestsDictsInOrder) {
  EXPECT_EQ(Nested({}), "{}");
  EXPECT_EQ(Nested({{"b", "x"}, {"a"}, {"b", "y", "z"}}),
            "{'b': {'x': 0, 'y': {'z': 2}}, 'a': 1}");
}

TEST(DcpNestedState, MakesListsOfIndices) {
  EXPECT_EQ(Nested({{"l", int64_t{1}}, {"l", int64_t{0}, "x"}}),
            "{'l': [{'x': 1}, 0]}");
  EXPECT_EQ(Nested({{int64_t{0}}, {int64_t{1}}}), "[0, 1]");
}

TEST(DcpNestedState, LeavesOtherNumbersInDicts) {
  EXPECT_EQ(Nested({{int64_t{1}}, {int64_t{2}}}), "{1: 0, 2: 1}");
  EXPECT_EQ(Nested({{int64_t{-1}}, {int64_t{0}}}), "{-1: 0, 0: 1}");
  EXPECT_EQ(Nested({{int64_t{0}}, {"1"}}), "{0: 0, '1': 1}");
}

TEST(DcpNestedState, RefusesPathsThatMeet) {
  for (const std::vector<Path>& paths : {
           std::vector<Path>{{"a"}, {"a"}},
           std::vector<Path>{{"a"}, {"a", "b"}},
           std::vector<Path>{{"a", "b"}, {"a"}},
       }) {
    EXPECT_THAT(Nested(paths), HasSubstr("its path meets"));
  }
}

}  // namespace
}  // namespace caisson::dcp
