// SPDX-License-Identifier: Apache-2.0
//
// Engine::Save: the file that Writer writes, with everything at once.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "caisson/engine.h"
#include "core/engine/engine_impl.h"
#include "tests/engine/state_files.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kKiB = 1024;

// Tensors of many sizes, shared ones and empty ones.
State MixedState() {
  State state;
  state["step"] = 7;
  uint64_t seed = 1;
  for (const int64_t elems : {0, 1, 3, 100, 5000, 70000, 300000}) {
    const std::string name = "w" + std::to_string(elems);
    const TensorView tensor = RandomTensor(DType::kFloat32, {elems}, seed++);
    state["model"][name] = tensor;
    state["tied"][name] = tensor;
  }
  for (int i = 0; i < 500; ++i) {
    state["small"][std::to_string(i)] =
        RandomTensor(DType::kInt16, {i % 40}, seed++);
  }
  return state;
}

SaveOptions Quick() {
  SaveOptions options;
  options.sync = false;
  return options;
}

TEST(EngineSave, WritesWhatTheOneThreadedPathWrites) {
  const State state = MixedState();
  const std::string expected = FileOf(state);
  for (const size_t window : {4 * kKiB, 64 * kKiB, 1024 * kKiB}) {
    for (const size_t windows : {1, 2, 32}) {
      for (const size_t threads : {1, 3}) {
        for (const bool direct : {false, true}) {
          EngineOptions options;
          options.window_bytes = window;
          options.pool_bytes = window * windows;
          options.threads = threads;
          options.direct = direct;
          CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(options));
          const ScratchDirectory scratch;
          const std::string path = scratch / "archive.pt";
          CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                                       engine.Save(state, path, Quick()));
          EXPECT_EQ(report.file_bytes, expected.size());
          ASSERT_TRUE(Content(path) == expected)
              << window << " x " << windows << ", " << threads << " threads, "
              << report.io;
        }
      }
    }
  }
}

TEST(EngineSave, ReportsWhatItDid) {
  const State state = MixedState();
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  const ScratchDirectory scratch;
  std::vector<Progress> seen;
  SaveOptions options;
  options.progress = [&](const Progress& now) { seen.push_back(now); };
  CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                               engine.Save(state, scratch / "a.pt", options));
  EXPECT_GT(report.tensor_bytes, 1'500'000u);
  EXPECT_GT(report.file_bytes, report.tensor_bytes);
  EXPECT_GT(report.staged_seconds, 0);
  EXPECT_GE(report.seconds, report.staged_seconds);
  EXPECT_GT(report.stages.copy, 0);
  EXPECT_GT(report.stages.transfer, 0);
  EXPECT_GT(report.stages.sync, 0);
  EXPECT_THAT(report.io, HasSubstr(", "));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().bytes, report.file_bytes);
  // The bound is none of the file's own bytes short, and no fantasy.
  EXPECT_GE(seen.back().total, report.file_bytes);
  EXPECT_LT(seen.back().total, report.file_bytes * 2);
}

TEST(EngineSave, EndsWhenItsCallbackStopsIt) {
  State state;
  state["w"] = RandomTensor(DType::kFloat32, {20'000'000}, 1);
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  const ScratchDirectory scratch;
  SaveOptions options;
  options.progress = [](const Progress& now) { *now.stop = true; };
  EXPECT_THAT(engine.Save(state, scratch / "a.pt", options).status(),
              StatusIs(StatusCode::kCancelled));
  EXPECT_FALSE(std::filesystem::exists(scratch / "a.pt"));
  EXPECT_THAT(engine.Save(state, scratch / "a.pt").status(), IsOk());
}

TEST(EngineSave, RefusesSizesThatDoNotFit) {
  EngineOptions options;
  options.window_bytes = 5000;
  EXPECT_THAT(Engine::Create(options).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("4096")));
  options.window_bytes = 8192;
  options.pool_bytes = 4096;
  EXPECT_THAT(Engine::Create(options).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("a pool of")));
  for (size_t EngineOptions::*at_once :
       {&EngineOptions::threads, &EngineOptions::depth}) {
    EngineOptions many;
    many.*at_once = SIZE_MAX;  // that threw when the threads were made
    EXPECT_THAT(Engine::Create(many).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("at once")));
  }
}

TEST(EngineSave, NamesTheTensorThatCannotBeSaved) {
  State state = MixedState();
  TensorView absent = RandomTensor(DType::kFloat32, {8}, 1);
  auto storage = std::make_shared<Storage>(*absent.storage);
  storage->region.data = nullptr;
  absent.storage = storage;
  state["model"]["absent"] = absent;
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  const ScratchDirectory scratch;
  EXPECT_THAT(engine.Save(state, scratch / "a.pt").status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'model.absent'")));
  EXPECT_THAT(engine.SaveAsync(state, scratch / "a.pt").status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'model.absent'")));
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

TEST(EngineSave, SaysWhatIsMissingBeforeTheFirstByte) {
  FaultFileSystem files(
      {.fault = Fault::kError, .only = "allocate", .error = ENOSPC});
  EngineOptions options;
  options.direct = false;  // trying it takes a block
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine,
                               Engine::Impl::Make(options, files));
  const ScratchDirectory scratch;
  EXPECT_THAT(
      engine.Save(MixedState(), scratch / "a.pt").status(),
      StatusIs(StatusCode::kIo, testing::AllOf(HasSubstr("needed "),
                                               HasSubstr(" bytes are free"),
                                               HasSubstr("No space left"))));
  EXPECT_THAT(files.log(), testing::Not(testing::Contains("write")));
  EXPECT_THAT(scratch.Names(), IsEmpty());
}

TEST(EngineSave, GoesThroughThePageCacheWhereDirectIsRefused) {
  const State state = MixedState();
  FaultFileSystem files(
      {.fault = Fault::kError, .only = "set direct", .error = EINVAL});
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Impl::Make({}, files));
  const ScratchDirectory scratch;
  CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report,
                               engine.Save(state, scratch / "archive.pt"));
  EXPECT_THAT(report.io, HasSubstr("buffered"));
  EXPECT_TRUE(Content(scratch / "archive.pt") == FileOf(state));
}

// It went by the name, which another directory may get.
TEST(EngineSave, ProbesEachDirectoryOnceWhateverItsName) {
  const ScratchDirectory scratch;
  const std::string folder = scratch / "folder";
  std::filesystem::create_directory(folder);
  FaultFileSystem files;
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Impl::Make({}, files));
  // Only a probe reads.
  const auto probes = [&](const std::string& path) {
    const auto reads = [&] { return std::ranges::count(files.log(), "read"); };
    const auto before = reads();
    EXPECT_THAT(engine.Save(State(), path).status(), IsOk());
    return reads() - before;
  };
  if (probes(folder + "/a.pt") == 0) {
    GTEST_SKIP() << "no direct I/O in " << scratch.path();
  }
  EXPECT_EQ(probes(folder + "/b.pt"), 0);
  EXPECT_EQ(probes(folder + "/../folder/a.pt"), 0);
  std::filesystem::rename(folder, scratch / "other");
  std::filesystem::create_directory(folder);
  EXPECT_EQ(probes(folder + "/a.pt"), 1);
  EXPECT_EQ(probes(scratch / "other/a.pt"), 0);
}

TEST(EngineSave, ManyThreadsSaveInTurn) {
  const State state = MixedState();
  const std::string expected = FileOf(state);
  EngineOptions options;
  options.window_bytes = 64 * kKiB;
  options.pool_bytes = 256 * kKiB;
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create(options));
  const ScratchDirectory scratch;
  std::vector<std::thread> threads;
  std::atomic<int> same{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string path = (scratch / std::to_string(i)) + "/archive.pt";
      std::filesystem::create_directory(scratch / std::to_string(i));
      for (int round = 0; round < 5; ++round) {
        const auto saved = engine.Save(state, path, Quick());
        const auto loaded = engine.Load(path);
        same += saved && loaded && Content(path) == expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, 20);
}

}  // namespace
}  // namespace caisson
