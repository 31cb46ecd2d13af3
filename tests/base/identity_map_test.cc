// SPDX-License-Identifier: Apache-2.0
#include "core/base/identity_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace caisson {
namespace {

TEST(IdentityMap, FindsWhatWasPutIn) {
  const std::vector<char> objects(10000);
  IdentityMap<size_t> map;
  for (size_t i = 0; i < objects.size(); ++i) {
    const auto [value, added] = map.TryEmplace(&objects[i], i);
    ASSERT_TRUE(added);
    ASSERT_EQ(*value, i);
  }
  for (size_t i = 0; i < objects.size(); ++i) {
    ASSERT_NE(map.Find(&objects[i]), nullptr);
    ASSERT_EQ(*map.Find(&objects[i]), i);
  }
}

TEST(IdentityMap, KeepsTheFirstValue) {
  const int object = 0;
  IdentityMap<int> map;
  map.TryEmplace(&object, 1);
  const auto [value, added] = map.TryEmplace(&object, 2);
  EXPECT_FALSE(added);
  EXPECT_EQ(*value, 1);
  *map.Find(&object) = 3;
  EXPECT_EQ(*map.Find(&object), 3);
}

TEST(IdentityMap, FindsNothingElse) {
  const int objects[2] = {};
  IdentityMap<int> map;
  EXPECT_EQ(map.Find(&objects[0]), nullptr);
  map.Reserve(100);
  map.TryEmplace(&objects[0], 1);
  EXPECT_EQ(map.Find(&objects[1]), nullptr);
  EXPECT_EQ(map.Find(nullptr), nullptr);
}

}  // namespace
}  // namespace caisson
