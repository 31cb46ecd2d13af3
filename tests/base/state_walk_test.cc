// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/allocation_meter.h"
#include "tests/support/node_text.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

auto HasSize(uint64_t nodes, uint64_t handles) {
  return IsOkAndHolds(AllOf(Field("nodes", &TreeSize::nodes, nodes),
                            Field("handles", &TreeSize::handles, handles)));
}

std::vector<std::string> ChildrenOf(const Node& node) {
  std::vector<std::string> children;
  ForEachChild(node.value(),
               [&](const Node& child) { children.push_back(NodeText(child)); });
  return children;
}

TEST(StateWalk, VisitsChildrenInOrder) {
  EXPECT_THAT(ChildrenOf(1), ElementsAre());
  EXPECT_THAT(ChildrenOf("text"), ElementsAre());
  EXPECT_THAT(ChildrenOf(List{{1, Node(), 2}}), ElementsAre("1", "None", "2"));
  EXPECT_THAT(ChildrenOf(Tuple{{1, 2}}), ElementsAre("1", "2"));
  EXPECT_THAT(ChildrenOf(Set{{1, 2}}), ElementsAre("1", "2"));
  Dict dict(/*is_ordered=*/true);
  dict["b"] = 1;
  dict["a"] = 2;
  dict.attributes = "attributes";
  EXPECT_THAT(ChildrenOf(dict),
              ElementsAre("'b'", "1", "'a'", "2", "'attributes'"));
  Object object;
  object.callable = Global{"m", "f"};
  object.args = Tuple{{1}};
  object.items = {2};
  object.entries.emplace_back(3, 4);
  object.state = 5;
  EXPECT_THAT(ChildrenOf(object), ElementsAre("m.f", "(1,)", "2", "3", "4"));
  object.has_state = true;
  EXPECT_THAT(ChildrenOf(object),
              ElementsAre("m.f", "(1,)", "2", "3", "4", "5"));
}

TEST(MeasureTree, CountsNodesOnceAndHandlesEachTime) {
  EXPECT_THAT(MeasureTree(Node()), HasSize(0, 0));
  EXPECT_THAT(MeasureTree(1), HasSize(1, 0));
  EXPECT_THAT(MeasureTree(List{{1, Node(), 2}}), HasSize(3, 3));
  const Node shared = Tuple{{1, 2}};
  EXPECT_THAT(MeasureTree(List{{shared, shared, shared}}), HasSize(4, 5));
}

TEST(MeasureTree, CountsTheTextOfDistinctNodes) {
  const Node text = "12345";
  const auto size = MeasureTree(List{{text, text, "678", Bytes{"9"}, 10}});
  CAISSON_ASSERT_OK(size);
  EXPECT_EQ(size->text_bytes, 9u);
}

TEST(MeasureTree, RefusesWhatHoldsItself) {
  const auto expect_cycle = [](const Node& node) {
    EXPECT_THAT(MeasureTree(node), StatusIs(kInvalid, HasSubstr("itself")));
  };
  Node list = List();
  list.As<List>()->items = {list};
  expect_cycle(list);
  list.As<List>()->items = {1, Tuple{{Tuple{{list}}}}};
  expect_cycle(list);
  expect_cycle(Tuple{{list}});
  list.As<List>()->items.clear();

  Node dict = Dict();
  dict["self"] = dict;
  expect_cycle(dict);
  dict.As<Dict>()->Clear();
  dict.As<Dict>()->attributes = dict;
  expect_cycle(dict);
  dict.As<Dict>()->attributes = Node();

  Node object = Object();
  object.As<Object>()->state = object;
  CAISSON_EXPECT_OK(MeasureTree(object)) << "a state that it does not have";
  object.As<Object>()->has_state = true;
  expect_cycle(object);
  *object.As<Object>() = Object();
}

Node Nested(size_t depth) {
  Node node = 1;
  for (size_t level = 1; level < depth; ++level) node = List{{node}};
  return node;
}

TEST(MeasureTree, AcceptsTheDeepestNestingAndNoneDeeper) {
  CAISSON_EXPECT_OK(MeasureTree(Nested(kMaxDepth)));
  EXPECT_THAT(MeasureTree(Nested(kMaxDepth + 1)),
              StatusIs(kInvalid, HasSubstr("nested deeper than 1000")));
}

TEST(MeasureTree, FindsTheDeepestOfManyPathsToOneNode) {
  const Node deep = Nested(kMaxDepth - 1);
  // First met near the root, then far from it.
  CAISSON_EXPECT_OK(MeasureTree(List{{deep, deep}}));
  EXPECT_THAT(MeasureTree(List{{deep, List{{deep}}}}), StatusIs(kInvalid));
}

TEST(MeasureTree, MeasuresAChainOfAMillionWithoutRecursion) {
  constexpr size_t kLinks = 1000000;
  std::vector<Node> links;
  links.push_back(List());
  for (size_t i = 1; i < kLinks; ++i) {
    links.push_back(List{{links.back()}});
  }
  const AllocationMeter meter;
  EXPECT_THAT(MeasureTree(links.back()),
              StatusIs(kInvalid, HasSubstr("nested deeper")));
  EXPECT_LT(meter.PeakBytes(), 300 * kLinks);
  // Taken apart while every link is held: no destructor calls another.
  for (Node& link : links) link.As<List>()->items.clear();
}

TEST(MeasureTree, SeesADagOfManyPathsOnce) {
  Node node = 1;
  for (int i = 0; i < 900; ++i) node = Tuple{{node, node}};
  EXPECT_THAT(MeasureTree(node), HasSize(901, 1800));
}

}  // namespace
}  // namespace caisson
