// SPDX-License-Identifier: Apache-2.0
//
// MeasureMachine and MeasureStages. No test looks at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/bench.h"
#include "core/engine/measure/measure_memory.h"
#include "core/engine/measure/measure_samples.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

MeasureOptions SmallOptions(const std::string& directory) {
  MeasureOptions options;
  options.directory = directory;
  options.bytes = (size_t{1} << 20) + 5000;
  options.rounds = 3;
  options.engine.window_bytes = size_t{64} << 10;
  options.engine.pool_bytes = size_t{512} << 10;
  options.engine.threads = 3;
  return options;
}

void ExpectPlausible(const MeasuredRate& rate, const std::string& name) {
  EXPECT_GT(rate.low, 0) << name;
  EXPECT_LE(rate.low, rate.gbps) << name;
  EXPECT_LE(rate.gbps, rate.high) << name;
  EXPECT_TRUE(std::isfinite(rate.high)) << name;
}

TEST(Measure, StagesStandBesideCeilingsOfTheSameRun) {
  const ScratchDirectory scratch;
  const auto report = MeasureStages(SmallOptions(scratch.path()));
  ASSERT_THAT(report.status(), IsOk());
  std::vector<std::string> names;
  for (const StageRate& stage : report->stages) {
    names.push_back(stage.name);
    ExpectPlausible(stage.rate, stage.name);
    EXPECT_GT(stage.fraction, 0) << stage.name;
    const CeilingRate* ceiling = nullptr;
    for (const CeilingRate& one : report->machine.ceilings) {
      if (one.name == stage.ceiling) ceiling = &one;
    }
    ASSERT_NE(ceiling, nullptr) << stage.ceiling;
    EXPECT_EQ(stage.ceiling_gbps, ceiling->rate.gbps) << stage.name;
    const bool by_engine = stage.name.starts_with("load") ||
                           stage.name == "save" || stage.name == "verify" ||
                           stage.name == "save_plane";
    ASSERT_EQ(stage.times.empty(), !by_engine) << stage.name;
    EXPECT_EQ(stage.io.empty(), !by_engine) << stage.name;
    if (!by_engine) continue;
    EXPECT_EQ(stage.times[0].name, "total");
    EXPECT_EQ(stage.times[1].name, "copy");
    EXPECT_EQ(stage.times[2].name, "transfer");
    for (const NamedSeconds& time : stage.times) {
      // At once with it are the pool's 8 windows.
      EXPECT_GE(time.seconds, 0) << time.name;
      EXPECT_LE(time.seconds, 8 * 3 * stage.times[0].seconds) << time.name;
    }
  }
  EXPECT_THAT(names, ElementsAre("save", "load", "load_fresh", "verify",
                                 "save_plane", "load_plane", "crc32",
                                 "copy_crc32", "save_async_staged"));
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

TEST(Measure, MachineHasEveryCeiling) {
  const ScratchDirectory scratch;
  const auto machine = MeasureMachine(SmallOptions(scratch.path()));
  ASSERT_THAT(machine.status(), IsOk());
  EXPECT_EQ(machine->threads, 3u);
  EXPECT_EQ(machine->async_threads, 1u);
  EXPECT_THAT(machine->io, HasSubstr("threads, "));
  std::vector<std::string> names;
  for (const CeilingRate& ceiling : machine->ceilings) {
    names.push_back(ceiling.name);
    ExpectPlausible(ceiling.rate, ceiling.name);
  }
  EXPECT_THAT(names, ElementsAre("memcpy", "memcpy_one_thread", "memcpy_async",
                                 "memory_read_one_thread", "first_touch",
                                 "raw_write", "raw_read"));
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

TEST(Measure, BufferedWhereDirectIsNotWanted) {
  const ScratchDirectory scratch;
  MeasureOptions options = SmallOptions(scratch.path());
  options.engine.direct = false;
  const auto machine = MeasureMachine(options);
  ASSERT_THAT(machine.status(), IsOk());
  EXPECT_EQ(machine->io, "threads, buffered");
}

TEST(Measure, ProgressEndsBeforeTheTotal) {
  const ScratchDirectory scratch;
  MeasureOptions options = SmallOptions(scratch.path());
  std::vector<uint64_t> totals;
  uint64_t last = 0;
  std::string what;
  options.progress = [&](std::string_view name, const Progress& progress) {
    EXPECT_TRUE(totals.empty() || progress.bytes > last);
    last = progress.bytes;
    totals.push_back(progress.total);
    what = name;
  };
  ASSERT_THAT(MeasureStages(options).status(), IsOk());
  EXPECT_THAT(totals, Each(totals.front()));
  // One measurement is left when the last one begins.
  EXPECT_EQ(last + totals.front() / totals.size(), totals.front());
  EXPECT_EQ(what, "save_async_staged");
}

TEST(Measure, OptionsThatMakeNoSenseAreRefused) {
  const ScratchDirectory scratch;
  MeasureOptions few = SmallOptions(scratch.path());
  few.rounds = 2;
  EXPECT_THAT(MeasureStages(few).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("2 rounds")));
  MeasureOptions small = SmallOptions(scratch.path());
  small.bytes = 4096;
  EXPECT_THAT(MeasureMachine(small).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("4096")));
  MeasureOptions nowhere = SmallOptions(scratch / "absent");
  EXPECT_THAT(MeasureStages(nowhere).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("absent")));
}

TEST(Samples, FractionIsTheMedianOfTheRoundsNotOfTheMedians) {
  Samples samples;
  const double ours[] = {1, 4, 2};
  const double ceiling[] = {2, 5, 10};
  for (int i = 0; i < 3; ++i) {
    samples.Add("ours", 1'000'000'000, 1 / ours[i]);
    samples.Add("low", 1'000'000'000, 1 / ceiling[i]);
    samples.Add("high", 1'000'000'000, 1 / (2 * ceiling[i]));
  }
  const std::string_view ceilings[] = {"high", "low"};
  const StageRate stage = samples.Stage("ours", ceilings);
  EXPECT_EQ(stage.ceiling, "low");
  EXPECT_NEAR(stage.ceiling_gbps, 5, 1e-9);
  EXPECT_NEAR(stage.rate.gbps, 2, 1e-9);
  EXPECT_NEAR(stage.rate.low, 1, 1e-9);
  EXPECT_NEAR(stage.rate.high, 4, 1e-9);
  EXPECT_NEAR(stage.fraction, 0.5, 1e-9);
}

TEST(Samples, TimesAreMediansOfTheRounds) {
  Samples samples;
  for (const double total : {3.0, 1.0, 2.0}) {
    samples.Add("load", 1'000'000'000, total);
    samples.Add("raw", 1'000'000'000, 1);
    const NamedSeconds times[] = {{"total", total}, {"copy", 10 - total}};
    samples.Explain("load", "threads, direct", times);
  }
  const std::string_view ceilings[] = {"raw"};
  const StageRate stage = samples.Stage("load", ceilings);
  EXPECT_EQ(stage.io, "threads, direct");
  ASSERT_EQ(stage.times.size(), 2u);
  EXPECT_EQ(stage.times[0].name, "total");
  EXPECT_EQ(stage.times[0].seconds, 2);
  EXPECT_EQ(stage.times[1].seconds, 8);
}

TEST(MeasureMemory, CopiesEveryByteWhateverTheShares) {
  for (const size_t threads : {1, 2, 3}) {
    const auto workers = WorkerPool::Create(threads, Priority::kNormal);
    ASSERT_THAT(workers.status(), IsOk());
    for (const size_t bytes : {size_t{1}, size_t{2} << 20, size_t{5000001}}) {
      std::vector<std::byte> src(bytes);
      std::vector<std::byte> dst(bytes);
      FillWeights(**workers, DType::kBFloat16, 1, src);
      CopyInShares(**workers, src, dst);
      EXPECT_EQ(src, dst);
    }
  }
}

TEST(MeasureMemory, WeightsAreSpreadAndTheSameForAnyThreads) {
  std::vector<std::vector<std::byte>> made;
  for (const size_t threads : {1, 3}) {
    const auto workers = WorkerPool::Create(threads, Priority::kNormal);
    ASSERT_THAT(workers.status(), IsOk());
    made.emplace_back(size_t{5} << 20);
    FillWeights(**workers, DType::kFloat32, 7, made.back());
  }
  EXPECT_EQ(made[0], made[1]);
  const size_t count = made[0].size() / sizeof(float);
  double sum = 0;
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    float weight;
    std::memcpy(&weight, &made[0][i * sizeof(weight)], sizeof(weight));
    sum += weight;
    squares += static_cast<double>(weight) * weight;
  }
  const auto n = static_cast<double>(count);
  EXPECT_NEAR(sum / n, 0, 1e-4);
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 1e-4);
}

TEST(MeasureMemory, XorOfWordsSeesEveryByte) {
  std::vector<std::byte> bytes(200);
  EXPECT_EQ(XorOfWords(bytes), 0u);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = std::byte{1};
    EXPECT_NE(XorOfWords(bytes), 0u) << i;
    bytes[i] = std::byte{0};
  }
}

}  // namespace
}  // namespace caisson
