// SPDX-License-Identifier: Apache-2.0
//
// Which chunks make a tensor, and how they lie in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <vector>

#include "core/formats/dcp/check.h"
#include "core/formats/dcp/chunk_rows.h"
#include "tests/support/status_matchers.h"

namespace caisson::dcp {
namespace {

using testing::HasSubstr;

Item ItemOf(
    std::vector<int64_t> shape,
    std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>> chunks) {
  Item item;
  item.fqn = "t";
  item.is_tensor = true;
  item.shape = std::move(shape);
  for (auto& [offsets, sizes] : chunks) {
    item.chunks.push_back({std::move(offsets), std::move(sizes), {}});
  }
  return item;
}

Status Check(const Item& item) { return CoverCheck().Check(item); }

TEST(DcpCover, TakesChunksThatCoverEachElementOnce) {
  CAISSON_EXPECT_OK(Check(ItemOf({}, {{{}, {}}})));
  CAISSON_EXPECT_OK(Check(ItemOf({4}, {{{0}, {4}}})));
  CAISSON_EXPECT_OK(Check(ItemOf({4}, {{{3}, {1}}, {{0}, {3}}})));
  CAISSON_EXPECT_OK(Check(ItemOf({4}, {{{0}, {4}}, {{4}, {0}}})));
  CAISSON_EXPECT_OK(Check(ItemOf({0, 3}, {})));
  // A pinwheel, which no cut goes through.
  CAISSON_EXPECT_OK(Check(ItemOf({3, 3}, {{{0, 0}, {1, 2}},
                                          {{0, 2}, {2, 1}},
                                          {{2, 1}, {1, 2}},
                                          {{1, 0}, {2, 1}},
                                          {{1, 1}, {1, 1}}})));
}

TEST(DcpCover, RefusesHolesOverlapsAndWhatLiesOutside) {
  const struct {
    Item item;
    const char* problem;
  } cases[] = {
      {ItemOf({4}, {}), "hole"},
      {ItemOf({}, {}), "hole"},
      {ItemOf({4}, {{{0}, {1}}, {{2}, {2}}}), "hole"},
      {ItemOf({4}, {{{0}, {0}}}), "hole"},
      {ItemOf({4}, {{{0}, {3}}, {{2}, {2}}}), "overlaps"},
      {ItemOf({4}, {{{0}, {4}}, {{0}, {4}}}), "overlaps"},
      {ItemOf({2, 2}, {{{0, 0}, {2, 1}}, {{0, 0}, {1, 2}}}), "overlaps"},
      {ItemOf({4}, {{{1}, {4}}}), "not within"},
      {ItemOf({4}, {{{-1}, {4}}}), "not within"},
      {ItemOf({4}, {{{0}, {-4}}}), "not within"},
      {ItemOf({4}, {{{0, 0}, {4, 1}}}), "not within"},
      {ItemOf({4}, {{{INT64_MAX}, {INT64_MAX}}}), "not within"},
      {ItemOf({-4}, {{{0}, {0}}}), "bad size"},
      {ItemOf({INT64_MAX, 3}, {}), "bad size"},
      {ItemOf(std::vector<int64_t>(65, 1), {}), "bad size"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(
        Check(one.item),
        StatusIs(StatusCode::kCorrupt,
                 testing::AllOf(HasSubstr("'t'"), HasSubstr(one.problem))))
        << one.problem;
  }
}

// 2^60 cells of 61 chunks, and ever again a few million.
TEST(DcpCover, EndsSoonWhateverTheCuts) {
  Item item;
  item.fqn = "t";
  item.is_tensor = true;
  item.shape.assign(60, 2);
  for (size_t d = 0; d < 60; ++d) {
    Chunk chunk;
    chunk.offsets.assign(60, 0);
    chunk.sizes.assign(60, 1);
    item.chunks.push_back(chunk);
  }
  EXPECT_THAT(Check(item), StatusIs(StatusCode::kUnsupported));

  Item wide = ItemOf(std::vector<int64_t>(22, 2), {});
  for (size_t d = 0; d < 22; ++d) {
    Chunk half;
    half.offsets.assign(22, 0);
    half.sizes.assign(22, 2);
    half.sizes[d] = 1;
    half.sizes[(d + 1) % 22] = 0;
    wide.chunks.push_back(half);
  }
  Chunk all;
  all.offsets.assign(22, 0);
  all.sizes.assign(22, 2);
  wide.chunks.push_back(all);
  CoverCheck check;
  const auto begin = std::chrono::steady_clock::now();
  Status status;
  size_t checked = 0;
  while (status.ok() && checked < 1000) status = check.Check(wide), ++checked;
  EXPECT_THAT(status, StatusIs(StatusCode::kUnsupported));
  EXPECT_GT(checked, 10u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1));
}

TEST(DcpCover, NamesOfFilesArePlain) {
  for (const char* name : {"a", "__0_0.distcp", "..a", "a..", ".a", "\u00fc"}) {
    EXPECT_TRUE(IsPlainName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"),
        std::string("/a"), std::string("..\\a"), std::string("a\0b", 3),
        std::string(256, 'a')}) {
    EXPECT_FALSE(IsPlainName(name)) << name;
    EXPECT_THAT(CheckFileName(name), StatusIs(StatusCode::kCorrupt));
  }
}

// Every block of a small tensor against a plain loop.
TEST(ChunkRows, AreTheRunsOfABlock) {
  const std::vector<int64_t> shape = {3, 2, 4};
  for (int64_t a = 0; a < 3; ++a)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t c = 0; c < 4; ++c)
        for (int64_t x = 1; a + x <= 3; ++x)
          for (int64_t y = 1; b + y <= 2; ++y)
            for (int64_t z = 1; c + z <= 4; ++z) {
              const ChunkRows rows(shape, {a, b, c}, {x, y, z});
              std::vector<uint64_t> expected;
              for (int64_t i = a; i < a + x; ++i)
                for (int64_t j = b; j < b + y; ++j)
                  for (int64_t k = c; k < c + z; ++k)
                    expected.push_back((i * 2 + j) * 4 + k);
              std::vector<uint64_t> found;
              for (uint64_t row = 0; row < rows.count(); ++row) {
                for (uint64_t e = 0; e < rows.elems(); ++e) {
                  found.push_back(rows.Start(row) + e);
                }
              }
              ASSERT_EQ(found, expected);
              for (uint64_t elem = 0; elem < 24; ++elem) {
                uint64_t first = 0;
                while (first < rows.count() &&
                       rows.Start(first) + rows.elems() <= elem) {
                  ++first;
                }
                ASSERT_EQ(rows.FirstBehind(elem), first);
              }
              // As few as can be: rows do not touch.
              for (uint64_t row = 1; row < rows.count(); ++row) {
                EXPECT_GT(rows.Start(row), rows.Start(row - 1) + rows.elems());
              }
            }
}

}  // namespace
}  // namespace caisson::dcp
