// SPDX-License-Identifier: Apache-2.0
//
// Rename().
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caisson/edit.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

TensorView Tensor() {
  static float value = 0;
  return DenseTensor(DType::kFloat32, {}, &value);
}

// The keys of a dict in order; those that are no str as "?".
std::vector<std::string> KeysOf(const Node& node) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : node.As<Dict>()->entries()) {
    keys.push_back(key.AsStr() != nullptr ? *key.AsStr() : "?");
  }
  return keys;
}

// Renames, expects `matcher` and that all of the tree's text is as before.
void ExpectRefused(State& state, std::string_view from, std::string_view to,
                   const testing::Matcher<Status>& matcher) {
  const std::vector<std::string> keys = KeysOf(state.root);
  const Node first = state.root.As<Dict>()->entries().front().first;
  EXPECT_THAT(Rename(state, from, to), matcher) << from << " " << to;
  EXPECT_EQ(KeysOf(state.root), keys);
  EXPECT_TRUE(state.root.As<Dict>()->entries().front().first.same(first));
}

TEST(Rename, KeepsThePositionAndEverythingElse) {
  State state;
  state["a"] = Tensor();
  state["b"] = Tensor();
  state["c"] = 3;
  const std::vector<Dict::Entry> before = state.root.As<Dict>()->entries();
  CAISSON_ASSERT_OK(Rename(state, "b", "renamed"));
  EXPECT_THAT(KeysOf(state.root), ElementsAre("a", "renamed", "c"));
  const std::vector<Dict::Entry>& after = state.root.As<Dict>()->entries();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(after[i].second.same(before[i].second));
    EXPECT_EQ(after[i].first.same(before[i].first), i != 1);
  }
  EXPECT_EQ(state.root.Find("b"), nullptr);
  ASSERT_NE(state.root.Find("renamed"), nullptr);
}

TEST(Rename, FindsEntriesOfAnyValueAnywhere) {
  State state;
  state["none"] = Node();
  state["list"] = List{{1, Node(Dict())}};
  state["list"].As<List>()->items[1]["x"] = "text";
  state["model"]["0.weight"] = Tensor();
  state["model"]["0"] = 5;
  CAISSON_ASSERT_OK(Rename(state, "none", "nothing"));
  CAISSON_ASSERT_OK(Rename(state, "list.1.x", "list.1.y.z"));
  CAISSON_ASSERT_OK(Rename(state, "model.0.weight", "model.layers.0.weight"));
  CAISSON_ASSERT_OK(Rename(state, "model", "net"));
  EXPECT_THAT(KeysOf(state.root), ElementsAre("nothing", "list", "net"));
  EXPECT_THAT(KeysOf(state.root.Find("list")->As<List>()->items[1]),
              ElementsAre("y.z"));
  EXPECT_THAT(KeysOf(*state.root.Find("net")),
              ElementsAre("layers.0.weight", "0"));
  CAISSON_EXPECT_OK(Rename(state, "net.layers.0.weight", "net."));
  CAISSON_EXPECT_OK(Rename(state, "net.", "net.w"));
}

TEST(Rename, KeepsOrderedDictsAndTheirAttributes) {
  State state;
  Dict module(true);
  CAISSON_ASSERT_OK(module.Set("w", Tensor()));
  CAISSON_ASSERT_OK(module.Set("b", Tensor()));
  Node metadata;
  metadata["_metadata"]["version"] = 1;
  module.attributes = metadata;
  state["model"] = module;
  CAISSON_ASSERT_OK(Rename(state, "model.w", "model.weight"));
  const Dict* renamed = state.root.Find("model")->As<Dict>();
  EXPECT_TRUE(renamed->ordered);
  EXPECT_TRUE(renamed->attributes.same(metadata));
  EXPECT_THAT(KeysOf(*state.root.Find("model")), ElementsAre("weight", "b"));
  CAISSON_ASSERT_OK(Rename(state, "model._attributes._metadata.version",
                           "model._attributes._metadata.v"));
  EXPECT_NE(metadata["_metadata"].Find("v"), nullptr);
}

TEST(Rename, ChangesASharedDictAtAllItsPlaces) {
  State state;
  Node shared;
  shared["w"] = Tensor();
  state["a"] = shared;
  state["b"] = shared;
  CAISSON_ASSERT_OK(Rename(state, "a.w", "a.v"));
  EXPECT_TRUE(state["a"].same(state["b"]));
  EXPECT_THAT(KeysOf(state["b"]), ElementsAre("v"));
  EXPECT_THAT(Rename(state, "b.w", "b.v"), StatusIs(StatusCode::kNotFound));
}

// The pickle repeats a str by identity: a key that was one object with another
// str must not take that along.
TEST(Rename, LeavesOtherUsesOfTheSameStrAlone) {
  State state;
  const Node key = "w";
  Dict a, b;
  CAISSON_ASSERT_OK(a.Set(key, key));
  CAISSON_ASSERT_OK(b.Set(key, Node()));
  state["a"] = a;
  state["b"] = b;
  CAISSON_ASSERT_OK(Rename(state, "a.w", "a.v"));
  EXPECT_EQ(*state["a"].Find("v")->AsStr(), "w");
  EXPECT_TRUE(state["a"].Find("v")->same(key));
  EXPECT_TRUE(state["b"].As<Dict>()->entries()[0].first.same(key));
}

TEST(Rename, WorksInDictsThatAreSearchedByHash) {
  State state;
  for (int i = 0; i < 100; ++i) state["k" + std::to_string(i)] = i;
  CAISSON_ASSERT_OK(Rename(state, "k50", "x"));
  EXPECT_EQ(*state.root.Find("x")->As<Integer>(), Integer(50));
  EXPECT_EQ(state.root.Find("k50"), nullptr);
  EXPECT_EQ(*state.root.As<Dict>()->entries()[50].first.AsStr(), "x");
  for (int i = 51; i < 100; ++i) {
    ASSERT_NE(state.root.Find("k" + std::to_string(i)), nullptr);
  }
}

TEST(Rename, ReachesTheEntriesAndTheStateOfObjects) {
  State state;
  Object object;
  object.callable = Global{"collections", "defaultdict"};
  object.args = Tuple();
  object.entries.emplace_back("x", 1);
  object.entries.emplace_back("y", 2);
  object.has_state = true;
  object.state["attribute"] = 3;
  state["o"] = object;
  CAISSON_ASSERT_OK(Rename(state, "o.y", "o.z"));
  CAISSON_ASSERT_OK(Rename(state, "o.attribute", "o.other"));
  const Object* after = state.root.Find("o")->As<Object>();
  EXPECT_EQ(*after->entries[0].first.AsStr(), "x");
  EXPECT_EQ(*after->entries[1].first.AsStr(), "z");
  EXPECT_THAT(KeysOf(after->state), ElementsAre("other"));
  EXPECT_THAT(Rename(state, "o.x", "o.z"), StatusIs(kInvalid));
}

TEST(Rename, NamesWhatIsMissing) {
  State state;
  state["a"]["b"] = 1;
  for (const char* from : {"b", "a.c", "a.b.c", "a.", ".a", "", "a..b"}) {
    ExpectRefused(state, from, "new",
                  StatusIs(StatusCode::kNotFound,
                           AllOf(HasSubstr("'" + std::string(from) + "'"),
                                 HasSubstr("'new'"))));
  }
}

TEST(Rename, NamesBothPathsOfAnAmbiguousName) {
  State state;
  state["a"]["b.c"] = 1;
  state["a.b"]["c"] = 2;
  ExpectRefused(state, "a.b.c", "a.x",
                StatusIs(kInvalid, AllOf(HasSubstr("[\"a\", \"b.c\"]"),
                                         HasSubstr("[\"a.b\", \"c\"]"))));
  // Also where both paths lead to one entry.
  State shared;
  Node inner;
  inner["c"] = 1;
  shared["a.b"] = inner;
  shared["a"]["b"] = inner;
  ExpectRefused(shared, "a.b.c", "a.b.d", StatusIs(kInvalid));
}

TEST(Rename, RefusesATakenName) {
  State state;
  state["a"] = 1;
  state["b"] = Node();
  state["c"]["d"] = 1;
  CAISSON_ASSERT_OK(state.root.As<Dict>()->Set(0, 1));
  for (const char* to : {"a", "b", "c", "c.d", "0"}) {
    ExpectRefused(state, "a", to,
                  StatusIs(kInvalid, HasSubstr("'" + std::string(to) + "'")));
  }
}

TEST(Rename, RefusesToMoveIntoAnotherDict) {
  State state;
  state["a"]["x"] = 1;
  state["b"]["y"] = 1;
  for (const char* to : {"b.x", "x", "ax", "a"}) {
    ExpectRefused(state, "a.x", to, StatusIs(kInvalid));
  }
  state["z"] = 1;
  ExpectRefused(state, "z", "b.z", StatusIs(kInvalid, HasSubstr("'b'")));
  ExpectRefused(state, "z", "b.new.z", StatusIs(kInvalid, HasSubstr("'b'")));
  CAISSON_EXPECT_OK(Rename(state, "z", "c.z"));
}

// Regression: the names of others came to lie in the renamed entry, so that the
// next look-up found two.
TEST(Rename, RefusesToTakeTheNamesOfOthersIn) {
  State state;
  state["a.b"] = 1;
  state["x"]["b"] = 2;
  state["list"] = List{{1}};
  state["k"] = 3;
  ExpectRefused(state, "x", "a", StatusIs(kInvalid, HasSubstr("'a.b'")));
  ExpectRefused(state, "k", "list.x", StatusIs(kInvalid, HasSubstr("'list'")));
  ExpectRefused(state, "k", "\xff", StatusIs(kInvalid, HasSubstr("UTF-8")));
}

TEST(Rename, RefusesWhatIsNoEntryWithAStrAsKey) {
  State state;
  state["list"] = List{{1, 2}};
  Dict numbers;
  CAISSON_ASSERT_OK(numbers.Set(7, Tensor()));
  state["numbers"] = numbers;
  ExpectRefused(state, "list.0", "list.x",
                StatusIs(kInvalid, HasSubstr("no entry")));
  ExpectRefused(state, "numbers.7", "numbers.8",
                StatusIs(kInvalid, HasSubstr("key 7")));
}

TEST(Rename, RefusesAStateThatHoldsItself) {
  State state;
  state["a"]["b"] = 1;
  state["a"]["self"] = state["a"];
  EXPECT_THAT(Rename(state, "a.b", "a.c"),
              StatusIs(kInvalid, HasSubstr("holds itself")));
  state["a"]["self"] = Node();  // opens the circle, for the leak checker
}

// As many paths as there are ways to make 90 of 60 ones and twos.
TEST(Rename, SearchesSharedDictsOnce) {
  State state;
  Node node;
  node["end"] = 1;
  for (int i = 0; i < 60; ++i) {
    Node outer;
    outer["a"] = node;
    outer["a.a"] = node;
    node = outer;
  }
  std::string name;
  for (int i = 0; i < 90; ++i) name += "a.";
  state.root = node;
  EXPECT_THAT(Rename(state, name + "endless", "x"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Rename(state, name + "end", "x"),
              StatusIs(kInvalid, HasSubstr("and of")));
}

}  // namespace
}  // namespace caisson
