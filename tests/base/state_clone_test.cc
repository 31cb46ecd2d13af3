// SPDX-License-Identifier: Apache-2.0
#include "core/base/state_clone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/state_walk.h"
#include "tests/support/node_text.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

Node Clone(const Node& root) {
  return CloneTree(root, [](const StorageHandle& storage) {
    return std::make_shared<Storage>(*storage);
  });
}

void CollectIdentities(const Node& node, std::set<const void*>& found) {
  if (node.none() || !found.insert(node.identity()).second) return;
  ForEachChild(node.value(),
               [&](const Node& child) { CollectIdentities(child, found); });
}

// One of every kind.
Node Sample() {
  static float value = 0;
  const TensorView tensor = DenseTensor(DType::kFloat32, {}, &value);
  Object object;
  object.made = Object::Made::kByClass;
  object.callable = Global{"m", "C"};
  object.args = Tuple{{1}};
  object.items = {2};
  object.entries.emplace_back("k", 3);
  object.has_state = true;
  object.state = List{{4}};
  Dict ordered(/*is_ordered=*/true);
  for (int i = 0; i < 20; ++i) (void)ordered.Set(i, i);
  ordered.attributes = List{{"metadata"}};
  return List{{true, 1, 2.5, std::complex<double>(1, 2), "text", Bytes{"b"},
               ByteArray{"a"}, Tuple{{Node()}}, Set{{1}}, Set{{2}, true},
               ordered, tensor, tensor.storage, Global{"m", "g"}, object}};
}

TEST(CloneTree, CopiesEveryKind) {
  const Node original = Sample();
  EXPECT_EQ(NodeText(Clone(original)), NodeText(original));
  EXPECT_TRUE(Clone(Node()).none());
}

TEST(CloneTree, SharesNoNodeWithTheOriginal) {
  const Node original = Sample();
  const Node copy = Clone(original);
  std::set<const void*> before, after;
  CollectIdentities(original, before);
  CollectIdentities(copy, after);
  EXPECT_EQ(before.size(), after.size());
  for (const void* identity : after) EXPECT_FALSE(before.contains(identity));
}

TEST(CloneTree, LeavesTheOriginalAloneWhenTheCopyChanges) {
  const Node original = Sample();
  const std::string text = NodeText(original);
  Node copy = Clone(original);
  auto& items = copy.As<List>()->items;
  items[6].As<ByteArray>()->data = "changed";
  items[7].As<Tuple>()->items.clear();
  items[10].As<Dict>()->Clear();
  items[11].As<TensorView>()->storage->location = "elsewhere";
  items[14].As<Object>()->entries.clear();
  EXPECT_EQ(NodeText(original), text);
}

TEST(CloneTree, SharesWithinTheCopyWhatTheOriginalShares) {
  const Node leaf = 1;
  const Node tuple = Tuple{{leaf, leaf}};
  Node dict = Dict();
  CAISSON_ASSERT_OK(dict.As<Dict>()->Set(tuple, tuple));
  const Node copy = Clone(List{{dict, tuple, Tuple{{leaf, leaf}}}});
  const auto& items = copy.As<List>()->items;
  const auto& [key, value] = items[0].As<Dict>()->entries()[0];
  EXPECT_TRUE(key.same(value));
  EXPECT_TRUE(key.same(items[1]));
  EXPECT_FALSE(items[1].same(items[2])) << "equal, but another object";
  EXPECT_TRUE(
      items[1].As<Tuple>()->items[0].same(items[2].As<Tuple>()->items[1]));
}

TEST(CloneTree, KeepsTheIdentityOfText) {
  const Text text = "name";
  const Node copy = Clone(List{{Node(text), Node(text), Node("name")}});
  const auto& items = copy.As<List>()->items;
  EXPECT_TRUE(items[0].As<Text>()->same(*items[1].As<Text>()));
  EXPECT_FALSE(items[0].As<Text>()->same(*items[2].As<Text>()));
}

TEST(CloneTree, AsksOnceForEachStorage) {
  float value[2] = {};
  const TensorView a = DenseTensor(DType::kFloat32, {2}, value);
  TensorView b = a;
  b.offset = 1;
  b.spec.shape = {};
  b.strides = {};
  const TensorView c = DenseTensor(DType::kFloat32, {2}, value);
  std::vector<StorageHandle> asked;
  const Node copy =
      CloneTree(List{{a, b, c, a.storage}}, [&](const StorageHandle& storage) {
        asked.push_back(storage);
        return std::make_shared<Storage>(*storage);
      });
  EXPECT_EQ(asked, (std::vector<StorageHandle>{a.storage, c.storage}));
  const auto& items = copy.As<List>()->items;
  const StorageHandle first = items[0].As<TensorView>()->storage;
  EXPECT_NE(first, a.storage);
  EXPECT_EQ(items[1].As<TensorView>()->storage, first);
  EXPECT_NE(items[2].As<TensorView>()->storage, first);
  EXPECT_EQ(*items[3].As<StorageHandle>(), first);
  EXPECT_EQ(items[1].As<TensorView>()->offset, 1u);
}

TEST(CloneTree, LetsEachCopiedViewBeChangedOverItsNewStorage) {
  static float values[2] = {};
  const TensorView a = DenseTensor(DType::kFloat32, {2}, values);
  TensorView b = a;
  b.spec.shape = {1};
  const Node shared = a;
  int views = 0;
  const Node copy = CloneTree(
      List{{shared, shared, b}},
      [](const StorageHandle& storage) {
        auto made = std::make_shared<Storage>(*storage);
        made->location = "new";
        return made;
      },
      [&](TensorView& view) {
        EXPECT_EQ(view.storage->location.str(), "new");
        view.spec.dtype = DType::kInt32;
        ++views;
      });
  EXPECT_EQ(views, 2);
  for (const Node& item : copy.As<List>()->items) {
    EXPECT_EQ(item.As<TensorView>()->spec.dtype, DType::kInt32);
  }
  EXPECT_EQ(shared.As<TensorView>()->spec.dtype, DType::kFloat32);
}

TEST(CloneTree, KeepsKeysThatOnlyIdentityTellsApart) {
  Node dict = Dict();
  for (int i = 0; i < 20; ++i) {
    CAISSON_ASSERT_OK(dict.As<Dict>()->Set(std::nan(""), i));
  }
  Object object;
  object.has_state = true;
  CAISSON_ASSERT_OK(dict.As<Dict>()->Set(object, 1));
  CAISSON_ASSERT_OK(dict.As<Dict>()->Set(object, 2));
  const Node copy = Clone(dict);
  EXPECT_EQ(copy.As<Dict>()->size(), 22u);
  EXPECT_EQ(NodeText(copy), NodeText(dict));
}

TEST(CloneTree, CopiesADagOfManyPathsOnce) {
  Node node = 1;
  for (int i = 0; i < 900; ++i) node = Tuple{{node, node}};
  const Node copy = Clone(node);
  const auto size = MeasureTree(copy);
  CAISSON_ASSERT_OK(size);
  EXPECT_EQ(size->nodes, 901u);
}

}  // namespace
}  // namespace caisson
