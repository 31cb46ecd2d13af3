// SPDX-License-Identifier: Apache-2.0
//
// Engine::SaveAsync: snapshots, tickets, and what becomes of failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "core/engine/engine_impl.h"
#include "tests/engine/state_files.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kKiB = 1024;

// A few tensors whose every byte is `value`.
struct Model {
  explicit Model(int64_t bytes) {
    for (int i = 0; i < 3; ++i) {
      tensors.push_back(RandomTensor(DType::kUInt8, {bytes + i}, 1));
      state["w" + std::to_string(i)] = tensors.back();
    }
  }

  void Fill(int value) {
    for (const TensorView& tensor : tensors) {
      std::memset(tensor.storage->region.data, value,
                  tensor.storage->region.bytes);
    }
  }

  std::vector<TensorView> tensors;
  State state;
};

Engine MakeEngine(size_t window, size_t windows,
                  FileSystem& files = FileSystem::Posix()) {
  EngineOptions options;
  options.window_bytes = window;
  options.pool_bytes = window * windows;
  auto engine = Engine::Impl::Make(options, files);
  EXPECT_THAT(engine.status(), IsOk());
  return std::move(*engine);
}

AsyncOptions Quick() {
  AsyncOptions options;
  options.save.sync = false;
  return options;
}

// The training goes on as soon as Staged() returns, and overwrites its tensors:
// the file has what they held before. With a pool that holds them all, and with
// one that does not.
TEST(EngineAsync, TheFileHoldsTheSnapshot) {
  for (const size_t windows : {2, 64}) {
    Model model(200 * kKiB);
    const ScratchDirectory scratch;
    const std::string path = scratch / "archive.pt";
    Engine engine = MakeEngine(16 * kKiB, windows);
    for (int round = 0; round < 100; ++round) {
      model.Fill(round);
      const std::string expected = FileOf(model.state);
      CAISSON_ASSERT_OK_AND_ASSIGN(
          const Ticket ticket, engine.SaveAsync(model.state, path, Quick()));
      CAISSON_ASSERT_OK(ticket.Staged());
      model.Fill(255);
      CAISSON_ASSERT_OK(ticket.Wait());
      EXPECT_TRUE(ticket.done());
      ASSERT_TRUE(Content(path) == expected) << "round " << round;
    }
  }
}

TEST(EngineAsync, RefusesAtOnceWhatIsNotInMemory) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "model.pt";
  State whole;
  whole["a"] = RandomTensor(DType::kFloat32, {300}, 1);
  whole["b"]["c"] = RandomTensor(DType::kFloat32, {300}, 2);
  CAISSON_ASSERT_OK(Writer().Write(whole, path).status());
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, Reader::Open(path));
  LoadOptions some;
  some.names = {"a"};
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, reader.Load(some));
  CAISSON_ASSERT_OK_AND_ASSIGN(Engine engine, Engine::Create());
  EXPECT_THAT(engine.SaveAsync(state, scratch / "new.pt").status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'b.c': its storage of 1200 bytes is "
                                 "not in memory")));
  EXPECT_THAT(scratch.Names(), testing::ElementsAre("model.pt"));
}

TEST(EngineAsync, TheTreeMayChangeAtOnce) {
  Model model(100 * kKiB);
  const std::string expected = FileOf(model.state);
  const ScratchDirectory scratch;
  Engine engine = MakeEngine(4 * kKiB, 2);
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket ticket,
      engine.SaveAsync(model.state, scratch / "archive.pt", Quick()));
  model.state["w0"] = 1;
  model.state = State();
  model.tensors.clear();  // the save keeps what it needs
  CAISSON_ASSERT_OK(ticket.Wait());
  EXPECT_TRUE(Content(scratch / "archive.pt") == expected);
}

TEST(EngineAsync, ABorrowedStateIsStagedAtOnce) {
  Model model(100 * kKiB);
  const ScratchDirectory scratch;
  Engine engine = MakeEngine(4 * kKiB, 1);
  AsyncOptions options = Quick();
  options.borrow = true;
  std::promise<void> go;
  options.save.progress = [&, once = false](const Progress&) mutable {
    if (!std::exchange(once, true)) go.get_future().wait();
  };
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket ticket,
      engine.SaveAsync(model.state, scratch / "archive.pt", options));
  CAISSON_EXPECT_OK(ticket.Staged());
  EXPECT_FALSE(ticket.done());
  EXPECT_TRUE(ticket.StagedWithin(0));
  EXPECT_FALSE(ticket.DoneWithin(0.001));
  go.set_value();
  CAISSON_EXPECT_OK(ticket.Wait());
}

TEST(EngineAsync, TellsHowFarItIs) {
  Model model(100 * kKiB);
  const ScratchDirectory scratch;
  Engine engine = MakeEngine(4 * kKiB, 4);
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket ticket,
      engine.SaveAsync(model.state, scratch / "archive.pt", Quick()));
  CAISSON_ASSERT_OK_AND_ASSIGN(const SaveReport report, ticket.Wait());
  EXPECT_EQ(ticket.progress().bytes, report.file_bytes);
  EXPECT_GE(ticket.progress().total, report.file_bytes);
}

// A save that is held up until it is let go.
class Held {
 public:
  explicit Held(AsyncOptions* options) {
    options->save.progress = [this](const Progress&) {
      held_.set_value();
      go_.get_future().wait();
    };
  }
  void WaitUntilHeld() { held_.get_future().wait(); }
  void LetGo() { go_.set_value(); }

 private:
  std::promise<void> held_;
  std::promise<void> go_;
};

TEST(EngineAsync, WhileAnotherSaveIsRunningTheCallerChooses) {
  Model model(3 * kKiB);
  const ScratchDirectory scratch;
  Engine engine = MakeEngine(16 * kKiB, 1);
  AsyncOptions first = Quick();
  Held held(&first);  // one window, so it is called once
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket running,
      engine.SaveAsync(model.state, scratch / "first.pt", first));
  held.WaitUntilHeld();

  AsyncOptions other = Quick();
  other.when_busy = WhenBusy::kFail;
  EXPECT_THAT(
      engine.SaveAsync(model.state, scratch / "fail.pt", other).status(),
      StatusIs(StatusCode::kUnavailable, HasSubstr("another save")));
  other.when_busy = WhenBusy::kSkip;
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket skipped,
      engine.SaveAsync(model.state, scratch / "skip.pt", other));
  EXPECT_TRUE(skipped.done());
  EXPECT_THAT(skipped.Wait().status(),
              StatusIs(StatusCode::kCancelled, HasSubstr("another save")));

  other.when_busy = WhenBusy::kWait;
  std::thread letting_go([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(running.done());
    held.LetGo();
  });
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Ticket waited,
      engine.SaveAsync(model.state, scratch / "wait.pt", other));
  EXPECT_TRUE(running.done());
  letting_go.join();
  CAISSON_EXPECT_OK(waited.Wait());
  EXPECT_THAT(scratch.Names(),
              testing::UnorderedElementsAre("first.pt", "wait.pt"));
}

// The turn came back only after the result was known and `done` was called.
TEST(EngineAsync, ASaveThatIsOverIsNotInTheWayOfTheNext) {
  Model model(3 * kKiB);
  const ScratchDirectory scratch;
  Engine engine = MakeEngine(16 * kKiB, 1);
  AsyncOptions options = Quick();
  options.when_busy = WhenBusy::kFail;
  options.done = [](const Result<SaveReport>&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  for (int round = 0; round < 5; ++round) {
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const Ticket ticket,
        engine.SaveAsync(model.state, scratch / "archive.pt", options));
    CAISSON_ASSERT_OK(ticket.Wait());
  }
}

TEST(EngineAsync, CancellingLeavesTheOldFileAndNoTemporary) {
  Model model(300 * kKiB);
  const ScratchDirectory scratch;
  const std::string path = scratch / "archive.pt";
  Engine engine = MakeEngine(4 * kKiB, 3);
  model.Fill(1);
  CAISSON_ASSERT_OK(engine.Save(model.state, path).status());
  const std::string old = Content(path);
  model.Fill(2);
  const std::string fresh = FileOf(model.state);
  std::mt19937 random(1);
  int cancelled = 0;
  for (int round = 0; round < 100; ++round) {
    CAISSON_ASSERT_OK_AND_ASSIGN(Ticket ticket,
                                 engine.SaveAsync(model.state, path, Quick()));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    ticket.Cancel();
    const auto report = ticket.Wait();
    if (!report) {
      ++cancelled;
      EXPECT_THAT(report.status(), StatusIs(StatusCode::kCancelled));
      ASSERT_TRUE(Content(path) == old);
    } else {
      ASSERT_TRUE(Content(path) == fresh);
      model.Fill(1);
      CAISSON_ASSERT_OK(engine.Save(model.state, path).status());
      model.Fill(2);
    }
    ASSERT_THAT(scratch.Names(), ElementsAre("archive.pt"));
  }
  EXPECT_GT(cancelled, 0);
}

TEST(EngineAsync, AFailureThatNobodyAskedForIsReportedLater) {
  Model model(100 * kKiB);
  const ScratchDirectory scratch;
  FaultFileSystem files(
      {.fault = Fault::kError, .at = 3, .only = "write", .error = EIO});
  Engine engine = MakeEngine(4 * kKiB, 3, files);
  std::promise<StatusCode> told;
  {
    AsyncOptions options = Quick();
    options.done = [&](const Result<SaveReport>& result) {
      told.set_value(result.status().code());
    };
    CAISSON_ASSERT_OK(
        engine.SaveAsync(model.state, scratch / "a.pt", options).status());
  }
  EXPECT_EQ(told.get_future().get(), StatusCode::kIo);
  // Even if it is over only while the next one waits for its turn.
  EXPECT_THAT(engine.SaveAsync(model.state, scratch / "a.pt").status(),
              StatusIs(StatusCode::kIo,
                       testing::AllOf(HasSubstr("an earlier save failed"),
                                      HasSubstr("Input/output error"))));
  // Once is enough.
  CAISSON_ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                               engine.SaveAsync(model.state, scratch / "a.pt"));
  CAISSON_EXPECT_OK(ticket.Wait());
}

TEST(EngineAsync, AFailureThatWasAskedForIsNotReportedAgain) {
  Model model(100 * kKiB);
  const ScratchDirectory scratch;
  FaultFileSystem files(
      {.fault = Fault::kError, .at = 3, .only = "write", .error = EIO});
  Engine engine = MakeEngine(4 * kKiB, 3, files);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Ticket failing,
                               engine.SaveAsync(model.state, scratch / "a.pt"));
  EXPECT_THAT(failing.Wait().status(), StatusIs(StatusCode::kIo));
  EXPECT_THAT(failing.Staged(), StatusIs(StatusCode::kIo));
  CAISSON_ASSERT_OK_AND_ASSIGN(const Ticket ticket,
                               engine.SaveAsync(model.state, scratch / "a.pt"));
  CAISSON_EXPECT_OK(ticket.Wait());
}

TEST(EngineAsync, TheEngineWaitsForASaveWhoseTicketIsGone) {
  Model model(500 * kKiB);
  const std::string expected = FileOf(model.state);
  const ScratchDirectory scratch;
  {
    Engine engine = MakeEngine(4 * kKiB, 3);
    CAISSON_ASSERT_OK(
        engine.SaveAsync(model.state, scratch / "archive.pt", Quick())
            .status());
  }
  EXPECT_TRUE(Content(scratch / "archive.pt") == expected);
}

}  // namespace
}  // namespace caisson
