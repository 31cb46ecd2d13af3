// SPDX-License-Identifier: Apache-2.0
#include "core/device/staging_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <limits>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/buffer.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Block = StagingPool::Block;

// Long enough that a thread which does not wait would have come back.
constexpr auto kMoment = std::chrono::milliseconds(20);

TEST(StagingPool, LeasesDisjointPageAlignedBlocks) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool,
                               StagingPool::Create(PageBytes() + 1, 5));
  EXPECT_EQ(pool.block_bytes(), 2 * PageBytes());
  EXPECT_EQ(pool.blocks(), 5u);
  EXPECT_EQ(pool.available(), 5u);
  std::vector<Block> blocks;
  for (int i = 0; i < 5; ++i) {
    CAISSON_ASSERT_OK_AND_ASSIGN(Block block, pool.Lease());
    EXPECT_TRUE(block);
    EXPECT_EQ(block.size(), pool.block_bytes());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % PageBytes(), 0u);
    std::memset(block.data(), i, block.size());
    blocks.push_back(std::move(block));
  }
  EXPECT_EQ(pool.available(), 0u);
  for (int i = 0; i < 5; ++i) {
    const auto bytes = blocks[static_cast<size_t>(i)].bytes();
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [i](std::byte b) {
      return b == static_cast<std::byte>(i);
    }));
  }
  blocks.clear();
  EXPECT_EQ(pool.available(), 5u);
}

TEST(StagingPool, ReusesTheBlockThatCameBackLast) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 8));
  std::set<std::byte*> seen;
  for (int i = 0; i < 20; ++i) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Block block, pool.Lease());
    seen.insert(block.data());
  }
  EXPECT_EQ(seen.size(), 1u);
}

TEST(StagingPool, RefusesAPoolOfNothing) {
  EXPECT_THAT(StagingPool::Create(0, 1),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(StagingPool::Create(1, 0),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(StagingPool, TooMuchIsOutOfMemory) {
  constexpr auto kMax = std::numeric_limits<size_t>::max();
  for (const auto& [bytes, blocks] : {std::pair{kMax, size_t{1}},
                                      {kMax / 2 + 1, size_t{2}},
                                      {size_t{1}, kMax},
                                      {kMax / 8, size_t{4}}}) {
    EXPECT_THAT(StagingPool::Create(bytes, blocks),
                StatusIs(StatusCode::kOutOfMemory));
  }
}

TEST(StagingPool, TryLeaseDoesNotWait) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 1));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto first, pool.TryLease());
  EXPECT_TRUE(first.has_value());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto second, pool.TryLease());
  EXPECT_FALSE(second.has_value());
}

TEST(StagingPool, LeaseWaitsUntilABlockComesBack) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 1));
  CAISSON_ASSERT_OK_AND_ASSIGN(Block held, pool.Lease());
  std::byte* const data = held.data();
  auto waiter =
      std::async(std::launch::async, [&pool] { return pool.Lease(); });
  EXPECT_EQ(waiter.wait_for(kMoment), std::future_status::timeout);
  held.Return();
  EXPECT_FALSE(held);
  EXPECT_EQ(held.size(), 0u);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Block got, waiter.get());
  EXPECT_EQ(got.data(), data);
}

TEST(StagingPool, ShutdownWakesEveryWaiterAndRefusesNewLeases) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 2));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Block first, pool.Lease());
  CAISSON_ASSERT_OK_AND_ASSIGN(Block second, pool.Lease());
  std::vector<std::future<Result<Block>>> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(
        std::async(std::launch::async, [&pool] { return pool.Lease(); }));
  }
  EXPECT_EQ(waiters.back().wait_for(kMoment), std::future_status::timeout);
  pool.Shutdown();
  pool.Shutdown();
  for (auto& waiter : waiters) {
    EXPECT_THAT(waiter.get(), StatusIs(StatusCode::kCancelled));
  }
  second.Return();  // there is a free block, and still nobody gets it
  EXPECT_THAT(pool.Lease(), StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(pool.TryLease(), StatusIs(StatusCode::kCancelled));
  std::memset(first.data(), 1, first.size());
}

TEST(StagingPool, ALeaseOutlivesThePool) {
  Block block;
  EXPECT_FALSE(block);
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 2));
    CAISSON_ASSERT_OK_AND_ASSIGN(block, pool.Lease());
    const StagingPool moved = std::move(pool);
    EXPECT_EQ(moved.available(), 1u);
  }
  std::memset(block.data(), 1, block.size());
}

TEST(StagingPool, AMovedBlockIsReturnedOnce) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 2));
  CAISSON_ASSERT_OK_AND_ASSIGN(Block first, pool.Lease());
  CAISSON_ASSERT_OK_AND_ASSIGN(Block second, pool.Lease());
  std::byte* const data = second.data();
  first = std::move(second);  // returns the first
  EXPECT_EQ(pool.available(), 1u);
  EXPECT_EQ(first.data(), data);
  second.Return();  // NOLINT: has nothing any more
  EXPECT_EQ(second.size(), 0u);
  EXPECT_EQ(pool.available(), 1u);
  first.Return();
  first.Return();
  EXPECT_EQ(pool.available(), 2u);
}

TEST(StagingPool, ManyThreadsNeverShareABlock) {
  constexpr size_t kBlocks = 3;
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool,
                               StagingPool::Create(1, kBlocks));
  std::atomic<size_t> leased{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const auto mark = static_cast<std::byte>(t);
      for (int i = 0; i < 500; ++i) {
        auto block = pool.Lease();
        ASSERT_THAT(block, IsOk());
        ASSERT_LE(leased.fetch_add(1) + 1, kBlocks);
        // Unsynchronised on purpose: the lease alone orders these.
        block->bytes().front() = mark;
        block->bytes().back() = mark;
        if (i % 16 == 0) std::this_thread::yield();
        ASSERT_EQ(block->bytes().front(), mark);
        ASSERT_EQ(block->bytes().back(), mark);
        leased.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.available(), kBlocks);
}

TEST(StagingPool, BlocksReturnFromOtherThreadsThanTheirs) {
  CAISSON_ASSERT_OK_AND_ASSIGN(StagingPool pool, StagingPool::Create(1, 2));
  for (int i = 0; i < 100; ++i) {
    CAISSON_ASSERT_OK_AND_ASSIGN(Block block, pool.Lease());
    std::thread([moved = std::move(block)]() mutable {
      moved.Return();
    }).join();
  }
  EXPECT_EQ(pool.available(), 2u);
}

}  // namespace
}  // namespace caisson
