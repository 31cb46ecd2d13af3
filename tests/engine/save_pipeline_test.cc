// SPDX-License-Identifier: Apache-2.0
//
// SaveParts: the same file as the one-threaded path, whatever the windows,
// the pool, the threads and the queue.
#include "core/engine/write/save_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "tests/engine/part_scripts.h"
#include "tests/io/io_queues.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

using testing::HasSubstr;

// A machinery of a given size.
struct Works {
  Works(size_t window_bytes, size_t windows, size_t threads,
        const QueueMaker& maker)
      : pool(*StagingPool::Create(window_bytes, windows)),
        workers(*WorkerPool::Create(threads, Priority::kNormal)),
        queue(*maker.make(4)) {}

  Machinery machinery() { return {pool, *workers, *queue}; }

  StagingPool pool;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<IoQueue> queue;
};

void ExpectSaves(const Script& script, Works& works) {
  File file = NewFile();
  Script::Stream parts(script);
  bool staged = false;
  uint64_t written = 0;
  SaveHooks hooks;
  hooks.staged = [&] { staged = true; };
  hooks.written = [&](uint64_t bytes) { written = bytes; };
  StageTimes stages;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const PartTotals totals,
      SaveParts(parts, file, works.machinery(), hooks, &stages));
  const std::string expected = script.Image();
  EXPECT_EQ(totals.file_bytes, expected.size());
  EXPECT_EQ(totals.tensor_bytes, script.tensor_bytes());
  EXPECT_TRUE(staged);
  EXPECT_EQ(written, expected.size());
  EXPECT_EQ(works.pool.available(), works.pool.blocks());
  ASSERT_TRUE(Content(file) == expected);
}

class SavePipeline : public testing::TestWithParam<QueueMaker> {
  void SetUp() override {
    const auto queue = GetParam().make(1);
    if (!queue) GTEST_SKIP() << queue.error().ToString();
  }
};

INSTANTIATE_TEST_SUITE_P(Queues, SavePipeline, testing::ValuesIn(kQueueMakers),
                         testing::PrintToStringParamName());

TEST_P(SavePipeline, WritesEveryKindOfPart) {
  const Script script = EveryKindOfPart();
  for (const size_t windows : {1, 2, 5}) {
    Works works(4096, windows, 2, GetParam());
    ExpectSaves(script, works);
  }
}

// A literal of every length before it moves the edge through each element.
TEST_P(SavePipeline, CutsElementsOfEveryWidthAtEveryByte) {
  Works works(4096, 2, 2, GetParam());
  for (const DType dtype : kWidths) {
    const uint64_t elems = 4096 / ByteWidth(dtype) * 3;
    for (uint64_t before = 0; before <= ByteWidth(dtype); ++before) {
      Script script;
      script.AddLiteral(before, 1);
      script.AddPiece(dtype, kOtherOrder, 1, elems, 2);
      script.AddDeferred(20);
      ExpectSaves(script, works);
    }
  }
}

TEST_P(SavePipeline, WritesRandomScriptsWithEveryMachinery) {
  std::mt19937 random(2);
  for (const size_t window_bytes : {4096, 65536, 1 << 20}) {
    for (const size_t windows : {1, 2, 16}) {
      for (const size_t threads : {1, 2, 8}) {
        Works works(window_bytes, windows, threads, GetParam());
        for (int round = 0; round < 4; ++round) {
          ExpectSaves(RandomScript(random), works);
        }
      }
    }
  }
}

TEST_P(SavePipeline, WritesNoPartsAsAnEmptyFile) {
  Works works(4096, 1, 1, GetParam());
  ExpectSaves(Script(), works);
  Script front;
  front.AddFrontBlock(5000);
  ExpectSaves(front, works);
}

TEST_P(SavePipeline, StopsWhenCancelled) {
  Works works(4096, 1, 1, GetParam());
  Script script;
  script.AddPiece(DType::kUInt8, kNativeOrder, 0, 1 << 20, 1);
  File file = NewFile();
  Script::Stream parts(script);
  std::atomic<bool> cancelled{false};
  SaveHooks hooks;
  hooks.cancelled = &cancelled;
  hooks.written = [&](uint64_t) { cancelled = true; };
  StageTimes stages;
  EXPECT_THAT(
      SaveParts(parts, file, works.machinery(), hooks, &stages).status(),
      StatusIs(StatusCode::kCancelled, HasSubstr("cancelled")));
  EXPECT_EQ(works.pool.available(), works.pool.blocks());
  CAISSON_ASSERT_OK_AND_ASSIGN(const uint64_t bytes, file.Size());
  EXPECT_LT(bytes, 100u * 4096);
}

// It waited until somebody gave a window back.
TEST_P(SavePipeline, StopsWhenCancelledWhileOthersHaveAllWindows) {
  Works works(4096, 2, 1, GetParam());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto first, works.pool.Lease());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto second, works.pool.Lease());
  Script script;
  script.AddPiece(DType::kUInt8, kNativeOrder, 0, 10000, 1);
  File file = NewFile();
  Script::Stream parts(script);
  std::atomic<bool> cancelled{false};
  SaveHooks hooks;
  hooks.cancelled = &cancelled;
  StageTimes stages;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancelled = true;
  });
  EXPECT_THAT(
      SaveParts(parts, file, works.machinery(), hooks, &stages).status(),
      StatusIs(StatusCode::kCancelled, HasSubstr("cancelled")));
  canceller.join();
  EXPECT_EQ(works.pool.available(), 0u);
}

TEST_P(SavePipeline, HandsOnTheFormatsErrors) {
  class Failing : public PartStream {
   public:
    Result<std::optional<Part>> Next(const Facts& facts) override {
      if (facts.cursor > 20000) return Status::Unsupported("no more");
      return std::optional<Part>(
          Literal{std::vector<std::byte>(5000, std::byte{1})});
    }
  };
  Works works(4096, 2, 2, GetParam());
  File file = NewFile();
  Failing parts;
  StageTimes stages;
  EXPECT_THAT(SaveParts(parts, file, works.machinery(), {}, &stages).status(),
              StatusIs(StatusCode::kUnsupported, HasSubstr("no more")));
  EXPECT_EQ(works.pool.available(), works.pool.blocks());
}

TEST_P(SavePipeline, ReportsTheErrorOfADeferredPart) {
  Script script;
  script.AddPiece(DType::kUInt8, kNativeOrder, 0, 10000, 1);
  DeferredLiteral bad;
  bad.bytes = 10;
  bad.fill = [](const Facts&, std::span<std::byte>) {
    return Status::Corrupt("not now");
  };
  script.AddRaw(bad);
  Works works(4096, 2, 2, GetParam());
  File file = NewFile();
  Script::Stream parts(script);
  StageTimes stages;
  EXPECT_THAT(SaveParts(parts, file, works.machinery(), {}, &stages).status(),
              StatusIs(StatusCode::kCorrupt, HasSubstr("not now")));
}

// Wherever a write fails, that error comes back and every window too.
TEST(SavePipelineFaults, HandsOnTheErrorOfEveryWrite) {
  std::mt19937 random(3);
  Script script;
  script.AddPiece(DType::kUInt8, kNativeOrder, 0, 100000, 1);
  Works works(4096, 4, 2, kQueueMakers[0]);
  int writes = 0;
  for (;; ++writes) {
    FaultFileSystem files({.fault = Fault::kError,
                           .at = writes,
                           .only = "write",
                           .error = ENOSPC});
    const ScratchDirectory scratch;
    CAISSON_ASSERT_OK_AND_ASSIGN(
        File file, File::CreateExclusive(scratch / "f", 0666, files));
    Script::Stream parts(script);
    StageTimes stages;
    const Status status =
        SaveParts(parts, file, works.machinery(), {}, &stages).status();
    EXPECT_EQ(works.pool.available(), works.pool.blocks());
    if (!files.fired()) {
      CAISSON_EXPECT_OK(status);
      break;
    }
    EXPECT_THAT(status, StatusIs(StatusCode::kIo, HasSubstr("write at")));
  }
  EXPECT_EQ(writes, 25);  // 100000 bytes in windows of 4096
}

}  // namespace
}  // namespace caisson
