// SPDX-License-Identifier: Apache-2.0
//
// A save over an old checkpoint that dies, or whose disk fails, at each of its
// operations in turn. The target is the old checkpoint or the new one, whole.
// Each matrix prints how many points it had and what came out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <tuple>

#include "core/engine/write/save_pipeline.h"
#include "core/engine/write/state_parts.h"
#include "core/io/io_path.h"
#include "tests/engine/crash_case.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/fault_queue.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The steps of Engine::Save with its pool registered in an io_uring, which
// moves the bytes past the FileSystem: the faults of transfers are those of the
// queue.
Status SaveByUring(FileSystem& files, const State& state,
                   const std::string& path) {
  auto& faults = dynamic_cast<FaultFileSystem&>(files);
  Profile profile = state.profile;
  profile.prefix = "archive";
  CAISSON_ASSIGN_OR_RETURN(const SavePlan plan,
                           PlanSave(state, path, profile, {}));
  PartStream& parts = *plan.files.front().parts;
  CAISSON_ASSIGN_OR_RETURN(StagingPool pool, StagingPool::Create(4096, 3));
  CAISSON_ASSIGN_OR_RETURN(const auto workers,
                           WorkerPool::Create(2, Priority::kNormal));
  CAISSON_ASSIGN_OR_RETURN(auto uring, MakeUringQueue(3));
  FaultQueue queue(std::move(uring), faults);
  queue.Register(pool.memory());
  CAISSON_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::Create(path, {.sync = true}, files));
  CAISSON_ASSIGN_OR_RETURN(const bool direct, ProbeDirect(file.file(), files));
  if (direct) static_cast<void>(file.file().SetDirect(true));
  StageTimes stages;
  CAISSON_RETURN_IF_ERROR(
      SaveParts(parts, file.file(), {pool, *workers, queue}, {}, &stages)
          .status());
  return file.Commit();
}

std::vector<Saver> SaversAndUring() {
  std::vector<Saver> savers = Savers();
  savers.push_back({"io_uring", SaveByUring});
  return savers;
}

class CrashMatrixTest : public testing::TestWithParam<std::tuple<Saver, bool>> {
 protected:
  void SetUp() override {
    if (!UsesUring()) return;
    const auto uring = MakeUringQueue(1);
    if (!uring) GTEST_SKIP() << uring.error().ToString();
  }

  bool UsesUring() const { return std::get<0>(GetParam()).name == "io_uring"; }

  FaultPlan Plan(Fault fault, int at, int error = EIO) const {
    return {.fault = fault,
            .at = at,
            .error = error,
            .no_unnamed = std::get<1>(GetParam()),
            .skip_sync = true};  // the power stays on
  }

  Status Save(FileSystem& files) const {
    return std::get<0>(GetParam()).save(files, new_.state, target_);
  }

  Left WhatIsLeft() const { return caisson::WhatIsLeft(target_, old_, new_); }

  // The next save that nothing disturbs ends with the target alone.
  void ExpectNextSaveCleansUp() {
    FaultFileSystem files(Plan(Fault::kNone, 0));
    CAISSON_ASSERT_OK(Save(files));
    // The kernel lets go of what the ring of a dead process still moved, its
    // lock with it, soon after the process: a temporary may outlive one save.
    constexpr int kMostSaves = 1000;
    for (int i = 0; UsesUring() && scratch_.Names().size() > 1; ++i) {
      ASSERT_LT(i, kMostSaves) << "the temporary is never removed";
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      CAISSON_ASSERT_OK(Save(files));
    }
    ASSERT_EQ(WhatIsLeft(), Left::kNew);
    ASSERT_THAT(scratch_.Names(), ElementsAre("model.pt"));
  }

  void Print(const std::string& what, const Tally& tally) const {
    std::cout << "crash matrix, " << std::get<0>(GetParam()).name
              << (std::get<1>(GetParam()) ? ", named temporary, "
                                          : ", unnamed temporary, ")
              << what << ": " << tally << std::endl;
  }

  // A fault of this kind at every operation.
  void TryFaults(const std::string& name, Fault fault, int error) {
    Tally tally;
    for (int n = 0;; ++n) {
      Put(target_, old_.file);
      FaultFileSystem files(Plan(fault, n, error));
      const Status status = Save(files);
      if (!files.fired()) break;
      SCOPED_TRACE(name + " at operation " + std::to_string(n) + ", " +
                   files.log()[static_cast<size_t>(n)] + ": " +
                   status.ToString());
      const Left left = WhatIsLeft();
      tally.Add(left);
      if (status.ok() || SaysInPlace(status)) {
        ASSERT_EQ(left, Left::kNew);
      } else {
        ASSERT_EQ(left, Left::kOld);
      }
      if (!status.ok()) {
        ASSERT_THAT(status, StatusIs(StatusCode::kIo, HasSubstr(target_)));
      }
      // What cannot be removed stays until the next save.
      if (files.log()[static_cast<size_t>(n)] == "unlink") {
        ExpectNextSaveCleansUp();
      }
      ASSERT_THAT(scratch_.Names(), ElementsAre("model.pt"));
    }
    Print(name, tally);
    EXPECT_GT(tally.points(), 10);
  }

  const ScratchDirectory scratch_;
  const std::string target_ = scratch_ / "model.pt";
  const Sample old_{1};
  const Sample new_{2};
};

INSTANTIATE_TEST_SUITE_P(Savers, CrashMatrixTest,
                         testing::Combine(testing::ValuesIn(SaversAndUring()),
                                          testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  (std::get<1>(test.param) ? "_named"
                                                           : "_unnamed");
                         });

TEST_P(CrashMatrixTest, KilledAtAnyOperationItLeavesOldOrNew) {
  Tally tally;
  for (int n = 0;; ++n) {
    Put(target_, old_.file);
    const pid_t child = fork();  // before this process has a second thread
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultFileSystem files(Plan(Fault::kKill, n));
      _exit(Save(files).ok() ? 0 : 1);
    }
    int how = 0;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    const Left left = WhatIsLeft();
    if (WIFEXITED(how)) {
      ASSERT_EQ(WEXITSTATUS(how), 0);
      ASSERT_EQ(left, Left::kNew);
      break;
    }
    ASSERT_EQ(WTERMSIG(how), SIGKILL);
    ASSERT_NE(left, Left::kDamaged) << "killed at operation " << n;
    tally.Add(left);
    ExpectNextSaveCleansUp();
  }
  Print("SIGKILL", tally);
  EXPECT_GT(tally.old, 5);
  EXPECT_GT(tally.fresh, 0);
}

TEST_P(CrashMatrixTest, AnyFaultAtAnyOperationLeavesOldOrNewAndNothingElse) {
  TryFaults("EIO", Fault::kError, EIO);
  TryFaults("ENOSPC", Fault::kError, ENOSPC);
  TryFaults("short transfer", Fault::kShort, EIO);
  TryFaults("no transfer", Fault::kNothing, EIO);
}

TEST_P(CrashMatrixTest, AShortTransferIsNoError) {
  for (int n = 0;; ++n) {
    Put(target_, old_.file);
    FaultFileSystem files(Plan(Fault::kShort, n));
    CAISSON_ASSERT_OK(Save(files));
    if (!files.fired()) break;
  }
}

TEST_P(CrashMatrixTest, ADiskThatDiesForGoodLeavesOldOrNew) {
  Tally tally;
  for (int n = 0;; ++n) {
    Put(target_, old_.file);
    FaultPlan plan = Plan(Fault::kError, n);
    plan.and_after = true;
    FaultFileSystem files(plan);
    const Status status = Save(files);
    if (!files.fired()) break;
    const Left left = WhatIsLeft();
    tally.Add(left);
    ASSERT_EQ(left,
              status.ok() || SaysInPlace(status) ? Left::kNew : Left::kOld);
    ExpectNextSaveCleansUp();
  }
  Print("EIO from there on", tally);
}

// A call that was done and reports an error all the same, as on a network.
TEST_P(CrashMatrixTest, AnErrorThatOnlySeemsToBeOneLeavesOldOrNew) {
  Tally tally;
  for (int n = 0;; ++n) {
    Put(target_, old_.file);
    FaultFileSystem files(Plan(Fault::kErrorAfter, n));
    const Status status = Save(files);
    if (!files.fired()) break;
    const Left left = WhatIsLeft();
    tally.Add(left);
    ASSERT_NE(left, Left::kDamaged);
    if (status.ok()) {
      ASSERT_EQ(left, Left::kNew);
    }
    ExpectNextSaveCleansUp();
  }
  Print("EIO after the deed", tally);
}

}  // namespace
}  // namespace caisson
