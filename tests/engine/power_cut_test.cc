// SPDX-License-Identifier: Apache-2.0
//
// The power goes before a random operation of a save, and the device keeps a
// random part of what was not synced.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <string>

#include "tests/engine/crash_case.h"
#include "tests/engine/power_cut_case.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/power_cut_file_system.h"

namespace caisson {
namespace {

using testing::ElementsAre;

class SaveCuts {
 public:
  // `then` looks at the directory after the power cut and the verdict.
  explicit SaveCuts(
      SaveFunction save,
      std::function<void(const ScratchDirectory&)> then = [](const auto&) {})
      : save_(std::move(save)), then_(std::move(then)) {}

  // Saves a new checkpoint over a durable old one, cuts the power, and judges.
  // A save that said it was done and left the old one is damage too.
  Left Try(uint64_t seed) {
    std::mt19937_64 random(seed);
    PowerCutPlan plan;
    plan.no_unnamed = random() % 2 == 0;
    plan.at = static_cast<int>(
        random() % static_cast<uint64_t>(Operations(plan.no_unnamed) + 2));
    const ScratchDirectory before;
    Put(before / "model.pt", old_.file);
    PowerCutFileSystem files(before.path(), plan);
    const Status status = save_(files, new_.state, before / "model.pt");
    const ScratchDirectory after(MemoryRoot());
    files.Cut(random(), after.path());
    Left left = WhatIsLeft(after / "model.pt", old_, new_);
    if (status.ok() && left == Left::kOld) left = Left::kDamaged;
    tally.Add(left);
    then_(after);
    return left;
  }

  // Of a save that nothing disturbs; the least and most that runs had, where
  // they differ, are close to each other.
  int Operations(bool no_unnamed) {
    int& known = operations_[no_unnamed];
    if (known == 0) {
      const ScratchDirectory scratch;
      Put(scratch / "model.pt", old_.file);
      PowerCutFileSystem files(scratch.path(), {.no_unnamed = no_unnamed});
      CAISSON_EXPECT_OK(save_(files, new_.state, scratch / "model.pt"));
      known = files.operations();
    }
    return known;
  }

  Tally tally;

 private:
  const SaveFunction save_;
  const std::function<void(const ScratchDirectory&)> then_;
  const Sample old_{1};
  const Sample new_{2};
  std::map<bool, int> operations_;
};

class PowerCutTest : public testing::TestWithParam<Saver> {};

INSTANTIATE_TEST_SUITE_P(Savers, PowerCutTest, testing::ValuesIn(Savers()),
                         [](const auto& test) { return test.param.name; });

TEST_P(PowerCutTest, DuringASaveLeavesOldOrNew) {
  const Sample next(3);
  SaveCuts cuts(GetParam().save, [&](const ScratchDirectory& scratch) {
    // The next save removes what is left over.
    const std::string target = scratch / "model.pt";
    FaultFileSystem files({.no_unnamed = true});  // looks for all leftovers
    CAISSON_EXPECT_OK(GetParam().save(files, next.state, target));
    EXPECT_TRUE(HoldsWhole(target, next));
    EXPECT_THAT(scratch.Names(), ElementsAre("model.pt"));
  });
  for (int seed = 1; seed <= PowerCutSeeds(); ++seed) {
    ASSERT_NE(cuts.Try(static_cast<uint64_t>(seed)), Left::kDamaged)
        << "seed " << seed;
  }
  std::cout << "power cut, " << GetParam().name << ", within "
            << cuts.Operations(false) << " or " << cuts.Operations(true)
            << " operations: " << cuts.tally << std::endl;
  EXPECT_GT(cuts.tally.old, 0);
  EXPECT_GT(cuts.tally.fresh, 0);
}

// Saves that are wrong, each of which the model must find.

void ExpectFound(const SaveFunction& save) {
  SaveCuts cuts(save);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    if (cuts.Try(seed) == Left::kDamaged) return;
  }
  ADD_FAILURE() << "nothing found: " << cuts.tally;
}

Status SyncDirectoryOf(FileSystem& files, const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  const int dir =
      files.Open(AT_FDCWD, parent.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0) return FromErrno(-dir, parent, "open");
  const int error = files.Sync(dir);
  files.Close(dir);
  return error < 0 ? FromErrno(-error, parent, "sync") : Status::Ok();
}

TEST(PowerCutModel, FindsASaveThatSyncsNothing) {
  ExpectFound(
      [](FileSystem& files, const State& state, const std::string& path) {
        return SaveOnOneThread(files, state, path, false);
      });
}

TEST(PowerCutModel, FindsARenameOfAFileThatWasNotSynced) {
  ExpectFound(
      [](FileSystem& files, const State& state, const std::string& path) {
        CAISSON_RETURN_IF_ERROR(SaveOnOneThread(files, state, path, false));
        return SyncDirectoryOf(files, path);
      });
}

TEST(PowerCutModel, FindsARenameThatWasNotSynced) {
  ExpectFound([](FileSystem& files, const State&, const std::string& path) {
    const std::string fresh = path + ".new";
    CAISSON_ASSIGN_OR_RETURN(File file,
                             File::CreateExclusive(fresh, 0666, files));
    CAISSON_RETURN_IF_ERROR(file.WriteAt(0, AsBytes(Sample(2).file)));
    CAISSON_RETURN_IF_ERROR(file.Sync());
    const std::string parent = std::filesystem::path(path).parent_path();
    const int dir =
        files.Open(AT_FDCWD, parent.c_str(), O_RDONLY | O_DIRECTORY, 0);
    if (dir < 0) return FromErrno(-dir, parent, "open");
    const int error = files.Rename(dir, "model.pt.new", "model.pt");
    files.Close(dir);
    return error < 0 ? FromErrno(-error, path, "rename") : Status::Ok();
  });
}

TEST(PowerCutModel, FindsAFileWrittenOverInPlace) {
  ExpectFound([](FileSystem& files, const State&, const std::string& path) {
    const int fd = files.Open(AT_FDCWD, path.c_str(), O_RDWR | O_TRUNC, 0);
    if (fd < 0) return FromErrno(-fd, path, "open");
    File file(fd, path, files);
    CAISSON_RETURN_IF_ERROR(file.WriteAt(0, AsBytes(Sample(2).file)));
    return file.Sync();
  });
}

}  // namespace
}  // namespace caisson
