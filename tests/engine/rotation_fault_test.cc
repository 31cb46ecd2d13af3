// SPDX-License-Identifier: Apache-2.0
//
// Rotation where there are no symbolic links, and with a fault or a SIGKILL at
// each of its operations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "tests/engine/rotation_case.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

// A file system without symbolic links.

TEST_F(RotationTest, WithoutLinksThePointerIsATextFile) {
  for (const int error : {EPERM, ENOSYS, EOPNOTSUPP}) {
    FaultPlan plan;
    plan.fault = Fault::kError;
    plan.only = "symlink";
    plan.and_after = true;
    plan.error = error;
    FaultFileSystem files(plan);
    Rotation rotation = Make({.keep = 2}, files);
    for (const uint64_t step : {1, 2, 3}) {
      PutSteps({step});
      CAISSON_ASSERT_OK(rotation.Commit(step));
      EXPECT_EQ(Content(scratch_ / "latest"),
                "step" + std::to_string(step) + ".pt\n");
      EXPECT_EQ(LatestOf(rotation), step);
      EXPECT_EQ(LatestOf(Make()), step);
    }
    EXPECT_THAT(scratch_.Names(),
                ElementsAre("latest", "step2.pt", "step3.pt"));
    fs::remove(scratch_ / "latest");
  }
}

TEST_F(RotationTest, EitherKindOfPointerReplacesTheOther) {
  PutSteps({1, 2, 3});
  CAISSON_ASSERT_OK(Make().Commit(1));
  FaultFileSystem files({.no_symlinks = true});
  CAISSON_ASSERT_OK(Make({}, files).Commit(2));
  EXPECT_EQ(Content(scratch_ / "latest"), "step2.pt\n");
  EXPECT_EQ(Content(PathOf(1)), SmallFile(1));  // not written through the link
  CAISSON_ASSERT_OK(Make().Commit(3));
  EXPECT_EQ(Link(), "step3.pt");
}

// Faults.

// Commit(3) over a pointer to step 2 with steps 1 and 2 there, of which 1 goes.
// The parameter says that there are no symbolic links.
class RotationFaultTest : public RotationTest,
                          public testing::WithParamInterface<bool> {
 protected:
  FaultPlan Plan(Fault fault, int at, int error = EIO) const {
    return {
        .fault = fault, .at = at, .error = error, .no_symlinks = GetParam()};
  }

  // The pointer leads to a whole checkpoint, and nothing went too early.
  void ExpectWhole(bool committed) {
    const uint64_t latest = LatestOf(Make());
    ASSERT_THAT(latest, AnyOf(2u, 3u));
    const std::string name = "step" + std::to_string(latest) + ".pt";
    if (GetParam()) {
      ASSERT_EQ(Content(scratch_ / "latest"), name + "\n");
    } else {
      ASSERT_EQ(Link(), name);
    }
    if (committed) {
      ASSERT_EQ(latest, 3u);
    }
    for (const uint64_t step : {2, 3}) {
      ASSERT_EQ(Content(PathOf(step)), SmallFile(step));
    }
    if (latest == 2) {
      ASSERT_EQ(Content(PathOf(1)), SmallFile(1));
    }
  }

  void ExpectNextCommitCleansUp() {
    CAISSON_ASSERT_OK(Make({.keep = 2}).Commit(3));
    ASSERT_EQ(LatestOf(Make()), 3u);
    ASSERT_THAT(scratch_.Names(),
                ElementsAre("latest", "step2.pt", "step3.pt"));
  }

  void Begin() {
    fs::remove(scratch_ / "latest");
    PutSteps({1, 2, 3});
    if (GetParam()) {
      Put(scratch_ / "latest", "step2.pt\n");
    } else {
      fs::create_symlink("step2.pt", scratch_ / "latest");
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Pointers, RotationFaultTest, testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "text" : "link";
                         });

TEST_P(RotationFaultTest, AnyFaultAtAnyOperationLeavesAPointerToAWholeOne) {
  int points = 0;
  for (const Fault fault :
       {Fault::kError, Fault::kErrorAfter, Fault::kShort, Fault::kNothing}) {
    for (const int error : {EIO, ENOSPC, EEXIST}) {
      for (const bool and_after : {false, true}) {
        for (int n = 0;; ++n) {
          Begin();
          FaultPlan plan = Plan(fault, n, error);
          plan.and_after = and_after;
          FaultFileSystem files(plan);
          const Status status = Make({.keep = 2}, files).Commit(3);
          if (!files.fired()) break;
          ++points;
          SCOPED_TRACE("operation " + std::to_string(n) + ", " +
                       files.log()[static_cast<size_t>(n)] + ": " +
                       status.ToString());
          if (!status.ok()) {
            ASSERT_THAT(status.message(), HasSubstr(scratch_.path()));
          }
          const bool committed =
              status.ok() ||
              status.message().find("leads to step3") != std::string::npos;
          ASSERT_NO_FATAL_FAILURE(ExpectWhole(committed));
          ASSERT_NO_FATAL_FAILURE(ExpectNextCommitCleansUp());
        }
      }
    }
  }
  std::cout << "faults of Commit(), " << (GetParam() ? "text" : "link") << ": "
            << points << " points" << std::endl;
}

TEST_P(RotationFaultTest, AnyInterruptionIsAbsorbed) {
  for (int n = 0;; ++n) {
    Begin();
    FaultFileSystem files(Plan(Fault::kError, n, EINTR));
    CAISSON_ASSERT_OK(Make({.keep = 2}, files).Commit(3));
    ASSERT_NO_FATAL_FAILURE(ExpectWhole(true));
    if (!files.fired()) break;
  }
}

TEST_P(RotationFaultTest, KilledAtAnyOperationItLeavesAPointerToAWholeOne) {
  int points = 0;
  for (bool finished = false; !finished; ++points) {
    Begin();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultFileSystem files(Plan(Fault::kKill, points));
      _exit(Make({.keep = 2}, files).Commit(3).ok() ? 0 : 1);
    }
    int how = 0;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    finished = WIFEXITED(how);
    if (finished) {
      ASSERT_EQ(WEXITSTATUS(how), 0);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectWhole(finished));
    ASSERT_NO_FATAL_FAILURE(ExpectNextCommitCleansUp());
  }
  std::cout << "SIGKILL in Commit(), " << (GetParam() ? "text" : "link") << ": "
            << points - 1 << " points" << std::endl;
  EXPECT_GT(points, 10);
}

}  // namespace
}  // namespace caisson
