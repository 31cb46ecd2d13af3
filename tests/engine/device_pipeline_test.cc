// SPDX-License-Identifier: Apache-2.0
//
// SaveParts with pieces on devices: the same file as from host memory,
// whatever the order in which devices do their work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "core/engine/device/rate_limit.h"
#include "core/engine/stopwatch.h"
#include "core/engine/write/save_pipeline.h"
#include "tests/engine/device_case.h"
#include "tests/engine/part_scripts.h"
#include "tests/io/io_queues.h"

namespace caisson {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kKiB = 1024;

// A machinery with windows that may be pinned.
struct Works {
  Works(FakeDevices& fake, size_t window_bytes, size_t windows, size_t threads,
        const QueueMaker& maker, bool pins = true)
      : pool(*StagingPool::Create(window_bytes, windows)),
        pinned(pool.memory(), pool.block_bytes(), 2 * window_bytes),
        workers(*WorkerPool::Create(threads, Priority::kNormal)),
        queue(*maker.make(4)),
        machinery{pool, *workers, *queue, fake, pins ? &pinned : nullptr} {}

  // Sees to it that every window is pinned.
  void PinAll(DeviceRuntime& runtime) {
    const auto memory = pool.memory();
    for (size_t at = 0; at < memory.size(); at += pool.block_bytes()) {
      EXPECT_TRUE(pinned.Await(runtime, Device::Cuda(0), &memory[at]));
    }
  }

  StagingPool pool;
  PinnedWindows pinned;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<IoQueue> queue;
  Machinery machinery;
};

Result<PartTotals> Save(PartStream& parts, File& file, Works& works,
                        DeviceSaveReport* report) {
  SaveHooks hooks;
  hooks.device_report = report;
  StageTimes stages;
  return SaveParts(parts, file, works.machinery, hooks, &stages);
}

void ExpectSaves(const Script& script, FakeDevices& fake, Works& works,
                 int devices, uint32_t host, uint32_t seed,
                 DeviceSaveReport* report) {
  File file = NewFile();
  PartsOnDevices parts(script, fake, devices, host, seed);
  CAISSON_ASSERT_OK_AND_ASSIGN(const PartTotals totals,
                               Save(parts, file, works, report));
  const std::string expected = script.Image();
  EXPECT_EQ(totals.file_bytes, expected.size());
  EXPECT_EQ(totals.tensor_bytes, script.tensor_bytes());
  EXPECT_EQ(works.pool.available(), works.pool.blocks());
  EXPECT_EQ(report->crc_device_bytes + report->crc_host_bytes, report->bytes);
  ASSERT_TRUE(Content(file) == expected);
}

// Pieces that are large enough for the copy engine, among others.
Script ScriptWithLargePieces(std::mt19937& random) {
  Script script = RandomScript(random);
  for (uint32_t i = random() % 3; i > 0; --i) {
    script.AddPiece(kWidths[random() % std::size(kWidths)],
                    random() % 3 == 0 ? kOtherOrder : kNativeOrder,
                    random() % 3, 4096 + random() % 60000, random());
    script.AddDeferred(random() % 100);
  }
  return script;
}

int Seeds() {
  const char* const seeds = std::getenv("CAISSON_DEVICE_SEEDS");
  return seeds == nullptr ? 200 : std::atoi(seeds);
}

class DevicePipeline : public testing::TestWithParam<QueueMaker> {
  void SetUp() override {
    const auto queue = GetParam().make(1);
    if (!queue) GTEST_SKIP() << queue.error().ToString();
  }
};

INSTANTIATE_TEST_SUITE_P(Queues, DevicePipeline,
                         testing::ValuesIn(kQueueMakers),
                         testing::PrintToStringParamName());

TEST_P(DevicePipeline, WritesRandomScriptsWithEveryMachineryAndOrder) {
  for (int seed = 1; seed <= Seeds(); ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    const int devices = 1 + static_cast<int>(random() % 3);
    FakeDevices fake({.devices = devices,
                      .memory_bytes = size_t{32} << 20,
                      .seed = static_cast<uint64_t>(seed),
                      .max_delay = std::chrono::microseconds(random() % 100)});
    {
      constexpr size_t kWindows[] = {4 * kKiB, 64 * kKiB, 256 * kKiB,
                                     1024 * kKiB};
      Works works(fake, kWindows[random() % std::size(kWindows)],
                  1 + random() % 6, 1 + random() % 4, GetParam());
      if (random() % 4 != 0) works.PinAll(**fake.Runtime());
      const Script script = ScriptWithLargePieces(random);
      DeviceSaveReport report;
      ExpectSaves(script, fake, works, devices, random() % 3, random(),
                  &report);
    }
    ExpectClean(fake);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST_P(DevicePipeline, WritesEveryKindOfPart) {
  const Script script = EveryKindOfPart();
  for (const size_t windows : {1, 2, 5}) {
    FakeDevices fake;
    {
      Works works(fake, 4 * kKiB, windows, 2, GetParam());
      works.PinAll(**fake.Runtime());
      DeviceSaveReport report;
      ExpectSaves(script, fake, works, 1, 0, 1, &report);
      EXPECT_EQ(report.crc_host_bytes, 0u);
      EXPECT_THAT(report.crc_host_reason, IsEmpty());
    }
    ExpectClean(fake);
  }
}

// A literal of every length before it moves the edge through each element.
TEST_P(DevicePipeline, CutsElementsOfEveryWidthAtEveryByte) {
  FakeDevices fake({.max_delay = std::chrono::microseconds(0)});
  Works works(fake, 4 * kKiB, 2, 2, GetParam());
  works.PinAll(**fake.Runtime());
  for (const DType dtype : kWidths) {
    const uint64_t elems = 4096 / ByteWidth(dtype) * 3;
    for (uint64_t before = 0; before <= ByteWidth(dtype); ++before) {
      Script script;
      script.AddLiteral(before, 1);
      script.AddPiece(dtype, kOtherOrder, 1, elems, 2);
      script.AddDeferred(20);
      DeviceSaveReport report;
      ExpectSaves(script, fake, works, 1, 0, 1, &report);
    }
  }
  EXPECT_THAT(fake.violations(), IsEmpty());
}

Script OneOfEach() {
  Script script;
  script.AddPiece(DType::kFloat32, kNativeOrder, 0, 50000, 1);  // copied
  script.AddPiece(DType::kFloat32, kNativeOrder, 0, 100, 2);    // small
  script.AddPiece(DType::kFloat32, kOtherOrder, 0, 50000, 3);   // swapped
  script.AddDeferred(100);
  return script;
}

// What a device cannot do is done by the host, which is told and gives the same
// file.
TEST_P(DevicePipeline, TheHostDoesWhatDevicesCannot) {
  const Script script = OneOfEach();
  const auto run = [&](FakeDevices& fake, bool pins) {
    DeviceSaveReport report;
    {
      Works works(fake, 128 * kKiB, 3, 2, GetParam(), pins);
      // What fails, fails here.
      if (pins) {
        static_cast<void>(works.pinned.Await(**fake.Runtime(), Device::Cuda(0),
                                             works.pool.memory().data()));
      }
      ExpectSaves(script, fake, works, 1, 0, 1, &report);
    }
    ExpectClean(fake);
    EXPECT_EQ(report.crc_device_bytes, 0u);
    EXPECT_EQ(report.crc_host_bytes, script.tensor_bytes());
    return report;
  };
  FakeDevices unpinned;
  EXPECT_THAT(run(unpinned, false).crc_host_reason, HasSubstr("not pinned"));
  FakeDevices refuses(
      {.fault = FakeFault{.only = "pin",
                          .status = Status::OutOfMemory("no more locks")}});
  const DeviceSaveReport report = run(refuses, true);
  EXPECT_THAT(report.crc_host_reason, HasSubstr("no more locks"));
  EXPECT_THAT(report.pin_problem, HasSubstr("no more locks"));
  EXPECT_EQ(report.pinned_bytes, 0u);
  FakeDevices full({.fault = FakeFault{.only = "allocate",
                                       .status = Status::OutOfMemory("full")}});
  EXPECT_THAT(run(full, true).crc_host_reason, HasSubstr("full"));
}

TEST_P(DevicePipeline, StopsWhenCancelled) {
  FakeDevices fake;
  {
    Works works(fake, 4 * kKiB, 2, 1, GetParam());
    works.PinAll(**fake.Runtime());
    Script script;
    script.AddPiece(DType::kUInt8, kNativeOrder, 0, 1 << 20, 1);
    File file = NewFile();
    PartsOnDevices parts(script, fake, 1, 0, 1);
    std::atomic<bool> cancelled{false};
    SaveHooks hooks;
    hooks.cancelled = &cancelled;
    hooks.written = [&](uint64_t) { cancelled = true; };
    StageTimes stages;
    EXPECT_THAT(
        SaveParts(parts, file, works.machinery, hooks, &stages).status(),
        StatusIs(StatusCode::kCancelled));
    EXPECT_EQ(works.pool.available(), works.pool.blocks());
    EXPECT_EQ(fake.counts().work, 0u);
  }
  ExpectClean(fake);
}

TEST(DevicePipelineFaults, AMissingDeviceIsUnavailable) {
  FakeDevices fake;
  FakeDevices none({.devices = 0});
  for (FakeDevices* const devices : {&fake, &none}) {
    Works works(*devices, 4 * kKiB, 2, 1, kQueueMakers[0]);
    Script script;
    TensorPiece piece;
    piece.storage = RandomTensor(DType::kUInt8, {9}, 1).storage;
    piece.storage->region.device = Device::Cuda(1);
    piece.bytes = 9;
    script.AddRaw(piece);
    File file = NewFile();
    Script::Stream parts(script);
    DeviceSaveReport report;
    EXPECT_THAT(Save(parts, file, works, &report).status(),
                StatusIs(StatusCode::kUnavailable, HasSubstr("cuda:1")));
  }
}

// Each operation fails in turn, in every way that a real one does. The answer
// is the right file, or an error of the same kind; nothing is in flight then,
// and nothing leaks.
TEST(DevicePipelineFaults, EveryOperationMayFail) {
  const Script script = OneOfEach();
  const std::string expected = script.Image();
  struct Way {
    Status status;
    bool later;
  };
  const Way ways[] = {{Status::DeviceError("lost"), false},
                      {Status::DeviceError("lost"), true},
                      {Status::OutOfMemory("full"), false}};
  int errors = 0;
  int fallbacks = 0;
  for (const Way& way : ways) {
    for (int at = 0;; ++at) {
      FakeDevices fake({.devices = 2,
                        .seed = static_cast<uint64_t>(at),
                        // Longer than it takes to give up.
                        .max_delay = std::chrono::microseconds(1000)});
      {
        Works works(fake, 64 * kKiB, 3, 2, kQueueMakers[0]);
        File file = NewFile();
        PartsOnDevices parts(script, fake, 2, 0, 5);
        fake.SetFault(
            FakeFault{.at = at, .status = way.status, .later = way.later});
        // Some windows are pinned by then, and some are not.
        static_cast<void>(works.pinned.Await(**fake.Runtime(), Device::Cuda(0),
                                             works.pool.memory().data()));
        DeviceSaveReport report;
        const Status status = Save(parts, file, works, &report).status();
        EXPECT_EQ(works.pool.available(), works.pool.blocks());
        EXPECT_EQ(fake.counts().work, 0u);
        if (status.ok()) {
          EXPECT_TRUE(Content(file) == expected);
          fallbacks += fake.fired() ? 1 : 0;
        } else {
          EXPECT_EQ(status.code(), way.status.code()) << status.ToString();
          EXPECT_TRUE(fake.fired());
          ++errors;
        }
      }
      ExpectClean(fake);
      if (testing::Test::HasFailure()) {
        FAIL() << "operation " << at << ": " << way.status.ToString();
      }
      if (!fake.fired()) {
        EXPECT_GT(at, 40);
        break;
      }
    }
  }
  EXPECT_GT(errors, 50);
  EXPECT_GT(fallbacks, 5);
}

TEST(RateLimitTest, KeepsBelowTheRateAndStopsAtOnce) {
  bool stopped = false;
  const auto stop = [&] { return stopped; };
  RateLimit limit(1e6);
  const Stopwatch watch;
  for (int i = 0; i < 4; ++i) limit.Take(10000, stop);
  EXPECT_GE(watch.seconds(), 0.03);  // the last one is on its way
  RateLimit crawling(1);
  crawling.Take(1'000'000, stop);
  stopped = true;
  crawling.Take(1, stop);  // returns
  RateLimit none(0);
  EXPECT_FALSE(none.limited());
  none.Take(uint64_t{1} << 60, stop);
}

}  // namespace
}  // namespace caisson
