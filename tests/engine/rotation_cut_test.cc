// SPDX-License-Identifier: Apache-2.0
//
// The power goes before a random operation of some saves and commits of a
// rotation, and the device keeps a random part of what was not synced.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "caisson/rotation.h"
#include "core/engine/rotation/rotation_impl.h"
#include "tests/engine/crash_case.h"
#include "tests/engine/power_cut_case.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/power_cut_file_system.h"

namespace caisson {
namespace {

constexpr uint64_t kSteps = 4;
constexpr size_t kMostKept = 2;

Status SaveWithoutSync(FileSystem& files, const State& state,
                       const std::string& path) {
  return SaveOnOneThread(files, state, path, false);
}

using CommitFunction =
    std::function<Status(Rotation&, FileSystem&, const std::string&, uint64_t)>;

class RotationCuts {
 public:
  // `synced` says whether a save is durable when it returns.
  RotationCuts(SaveFunction save, bool synced,
               CommitFunction commit = CommitOf())
      : save_(std::move(save)), synced_(synced), commit_(std::move(commit)) {
    for (uint64_t step = 0; step <= kSteps + 1; ++step) {
      samples_.emplace_back(step);
    }
  }

  // Saves and commits some steps, cuts the power, and returns what is wrong
  // with what is left; nothing if all is well.
  std::string Try(uint64_t seed) {
    std::mt19937_64 random(seed);
    PowerCutPlan plan;
    plan.no_unnamed = random() % 2 == 0;
    plan.no_symlinks = random() % 2 == 0;
    keep_ = 1 + random() % kMostKept;
    plan.at = static_cast<int>(random() %
                               static_cast<uint64_t>(Operations(plan) + 2));
    const ScratchDirectory before;
    PowerCutFileSystem files(before.path(), plan);
    const Done done = Run(files, before.path());
    const ScratchDirectory after(MemoryRoot());
    files.Cut(random(), after.path());
    std::string problem = Judge(done, after.path());
    if (problem.empty()) problem = ProblemAfterNextCommit(after);
    return problem;
  }

  int most_operations() const { return most_; }
  int pointers() const { return pointers_; }

 private:
  struct Done {
    uint64_t saved = 0;      // the last that Save() said is in place
    uint64_t committed = 0;  // the last that Commit() said `latest` leads to
  };

  Done Run(FileSystem& files, const std::string& directory) const {
    Done done;
    auto rotation = MakeRotation(directory, {.keep = keep_}, files);
    CAISSON_EXPECT_OK(rotation);
    for (uint64_t step = 1; step <= kSteps; ++step) {
      const std::string path = rotation->PathFor(step);
      if (!save_(files, samples_[step].state, path).ok()) return done;
      if (synced_) done.saved = step;
      if (!commit_(*rotation, files, directory, step).ok()) return done;
      done.committed = step;
    }
    return done;
  }

  static CommitFunction CommitOf() {
    return [](Rotation& rotation, FileSystem&, const std::string&,
              uint64_t step) { return rotation.Commit(step); };
  }

  bool IsWhole(const Checkpoint& checkpoint) const {
    return HoldsWhole(checkpoint.path, samples_[checkpoint.step]);
  }

  std::string Judge(const Done& done, const std::string& directory) {
    const auto rotation = Rotation::Create(directory, {.keep = keep_});
    const auto list = rotation->List();
    if (!list.has_value()) return list.error().ToString();
    bool saved = done.saved == 0;
    for (const Checkpoint& checkpoint : *list) {
      const bool due = synced_ || checkpoint.step <= done.committed;
      if (due && !IsWhole(checkpoint)) return checkpoint.path + " is damaged";
      saved = saved || checkpoint.step == done.saved;
    }
    if (!saved) return "the last saved step is gone";

    const std::string pointed = Pointed(directory + "/latest");
    if (pointed.empty() && done.committed > 0) return "no pointer";
    const auto latest = rotation->Latest();
    if (!latest.has_value()) {
      const bool may_be = pointed.empty() && done.saved == 0;
      return may_be ? "" : latest.error().ToString();
    }
    if (!IsWhole(*latest)) return "the latest is damaged";
    if (pointed.empty()) return "";
    ++pointers_;
    if (rotation->PathFor(latest->step) != directory + "/" + pointed) {
      return "the pointer leads to " + pointed + ", which is not there";
    }
    if (latest->step < done.committed) return "the pointer went back";
    return "";
  }

  // The next save and commit remove what is left over.
  std::string ProblemAfterNextCommit(const ScratchDirectory& scratch) const {
    auto rotation = Rotation::Create(scratch.path(), {.keep = keep_});
    const uint64_t step = kSteps + 1;
    FaultFileSystem files({.no_unnamed = true});  // looks for all leftovers
    CAISSON_EXPECT_OK(
        save_(files, samples_[step].state, rotation->PathFor(step)));
    CAISSON_EXPECT_OK(rotation->Commit(step));
    size_t checkpoints = 0;
    for (const std::string& name : scratch.Names()) {
      if (name.starts_with("step")) {
        ++checkpoints;
      } else if (name != "latest") {
        return name + " is left over";
      }
    }
    return checkpoints <= keep_ ? "" : "more checkpoints than asked for";
  }

  // The name that a pointer of either kind holds; empty if there is none.
  static std::string Pointed(const std::string& path) {
    std::error_code none;
    const auto target = std::filesystem::read_symlink(path, none);
    if (!none) return target.string();
    const std::string text = Content(path);
    return text.substr(0, text.find('\n'));
  }

  int Operations(const PowerCutPlan& plan) {
    int& known = operations_[{plan.no_unnamed, plan.no_symlinks, keep_}];
    if (known == 0) {
      const ScratchDirectory scratch;
      PowerCutPlan whole = plan;
      whole.at = PowerCutPlan().at;
      PowerCutFileSystem files(scratch.path(), whole);
      EXPECT_EQ(Run(files, scratch.path()).committed, kSteps);
      known = files.operations();
      most_ = std::max(most_, known);
    }
    return known;
  }

  const SaveFunction save_;
  const bool synced_;
  const CommitFunction commit_;
  std::vector<Sample> samples_;
  size_t keep_ = 1;
  std::map<std::tuple<bool, bool, size_t>, int> operations_;
  int most_ = 0;
  int pointers_ = 0;
};

class RotationCutTest : public testing::TestWithParam<Saver> {
 protected:
  static void Run(const std::string& name, RotationCuts cuts) {
    for (int seed = 1; seed <= PowerCutSeeds(); ++seed) {
      ASSERT_EQ(cuts.Try(static_cast<uint64_t>(seed)), "") << "seed " << seed;
    }
    std::cout << "power cut, " << name << ", within " << cuts.most_operations()
              << " operations: " << PowerCutSeeds()
              << " points: " << cuts.pointers()
              << " with a pointer to a whole checkpoint, "
              << PowerCutSeeds() - cuts.pointers() << " before the first, 0 "
              << "damaged" << std::endl;
    EXPECT_GT(cuts.pointers(), PowerCutSeeds() / 4);
  }
};

INSTANTIATE_TEST_SUITE_P(Savers, RotationCutTest, testing::ValuesIn(Savers()),
                         [](const auto& test) { return test.param.name; });

TEST_P(RotationCutTest, LeavesAPointerToAWholeCheckpoint) {
  Run(GetParam().name + ", rotation", {GetParam().save, true});
}

TEST(RotationCut, ACommitMakesDurableWhatTheSaveDidNot) {
  RotationCuts cuts(SaveWithoutSync, false);
  for (int seed = 1; seed <= PowerCutSeeds(); ++seed) {
    ASSERT_EQ(cuts.Try(static_cast<uint64_t>(seed)), "") << "seed " << seed;
  }
}

// A commit in the wrong order: the pointer moves, and before that is durable
// the old checkpoint goes.
TEST(RotationCut, FindsACommitThatRemovesTooEarly) {
  const auto hasty = [](Rotation& rotation, FileSystem& files,
                        const std::string& directory, uint64_t step) {
    const int dir =
        files.Open(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0) return FromErrno(-dir, directory, "open");
    const auto name = [&](uint64_t of) {
      return std::filesystem::path(rotation.PathFor(of)).filename().string();
    };
    int error = files.Symlink(name(step).c_str(), dir, ".latest.1-1.tmp");
    if (error == 0) error = files.Rename(dir, ".latest.1-1.tmp", "latest");
    if (error == 0 && step > 1) {
      error = files.Unlink(dir, name(step - 1).c_str());
    }
    // Idles, so that the power often goes here.
    std::vector<std::string> names;
    for (int i = 0; i < 10 && error == 0; ++i) error = files.List(dir, &names);
    if (error == 0) error = files.Sync(dir);
    files.Close(dir);
    return error < 0 ? FromErrno(-error, directory, "commit") : Status::Ok();
  };
  RotationCuts cuts(
      Savers().front().save, true,
      [&](Rotation& rotation, FileSystem& files, const std::string& directory,
          uint64_t step) {
        // Where there are no links it cannot even begin.
        const Status status = hasty(rotation, files, directory, step);
        return status.message().find("not permitted") == std::string::npos
                   ? status
                   : rotation.Commit(step);
      });
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    if (cuts.Try(seed).find("is not there") != std::string::npos) return;
  }
  FAIL() << "nothing found";
}

}  // namespace
}  // namespace caisson
