// SPDX-License-Identifier: Apache-2.0
//
// A whole save, with a fault or a SIGKILL at each of its operations: the target
// holds the old content or the new, never a mixture, and no file is left over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/status_macros.h"
#include "core/io/atomic_file.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kOld(3000, 'o');
const std::string kNew(5000, 'n');

Status Save(const std::string& path, FileSystem& files, bool sync = true) {
  CAISSON_ASSIGN_OR_RETURN(AtomicFile atomic,
                           AtomicFile::Create(path, {.sync = sync}, files));
  File& file = atomic.file();
  CAISSON_RETURN_IF_ERROR(file.Allocate(2 * kNew.size()).status());
  CAISSON_RETURN_IF_ERROR(file.WriteAt(0, AsBytes(kNew).first(4000)));
  CAISSON_RETURN_IF_ERROR(file.WriteAt(4000, AsBytes(kNew).subspan(4000)));
  CAISSON_RETURN_IF_ERROR(file.Truncate(kNew.size()));
  return atomic.Commit();
}

struct Place {
  std::string name;
  std::string root;
  bool no_unnamed;
};

void PrintTo(const Place& place, std::ostream* os) { *os << place.name; }

class AtomicFileFaultTest : public testing::TestWithParam<Place> {
 protected:
  void SetUp() override {
    if (access(GetParam().root.c_str(), W_OK) != 0) {
      GTEST_SKIP() << "no " << GetParam().root << " on this machine";
    }
    scratch_.emplace(GetParam().root);
    target_ = *scratch_ / "f";
  }

  FaultPlan Plan(Fault fault, int at, int error = EIO) const {
    return {.fault = fault,
            .at = at,
            .error = error,
            .no_unnamed = GetParam().no_unnamed};
  }

  // An existing target whose permissions differ from those of a new file, so
  // that a save has every operation.
  void PutOld() {
    Put(target_, kOld);
    ASSERT_EQ(chmod(target_.c_str(), 0666 & ~Umask() & ~0040), 0);
  }

  // The next save that nothing disturbs ends with the target alone.
  void ExpectNextSaveCleansUp() {
    FaultFileSystem files(Plan(Fault::kNone, 0));
    CAISSON_ASSERT_OK(Save(target_, files));
    ASSERT_EQ(Content(target_), kNew);
    ASSERT_THAT(scratch_->Names(), ElementsAre("f"));
  }

  static mode_t Umask() {
    const mode_t mask = umask(0);
    umask(mask);
    return mask;
  }

  std::optional<ScratchDirectory> scratch_;
  std::string target_;
};

INSTANTIATE_TEST_SUITE_P(
    Places, AtomicFileFaultTest,
    testing::Values(Place{"disk_unnamed", testing::TempDir(), false},
                    Place{"disk_named", testing::TempDir(), true},
                    Place{"memory_unnamed", "/dev/shm", false},
                    Place{"memory_named", "/dev/shm", true}),
    [](const auto& test) { return test.param.name; });

TEST_P(AtomicFileFaultTest, AnyOneFailureLeavesOldOrNewAndNothingElse) {
  const int descriptor = LowestFreeDescriptor();
  for (const int error : {EIO, ENOSPC, EACCES, EEXIST, EWOULDBLOCK}) {
    for (const bool existing : {true, false}) {
      for (int n = 0;; ++n) {
        std::filesystem::remove(target_);
        if (existing) PutOld();
        FaultFileSystem files(Plan(Fault::kError, n, error));
        const Status status = Save(target_, files);
        SCOPED_TRACE(files.log()[std::min<size_t>(n, files.log().size() - 1)]);
        if (status.ok()) {
          ASSERT_EQ(Content(target_), kNew);
        } else if (status.message().find("is in place") != std::string::npos) {
          ASSERT_EQ(Content(target_), kNew);
        } else {
          ASSERT_THAT(status.message(), HasSubstr(target_));
          ASSERT_EQ(Content(target_), existing ? kOld : "");
        }
        auto names = scratch_->Names();
        std::erase(names, "f");
        // A lock that somebody else holds is a file that somebody else
        // removes; here nobody does.
        if (error != EWOULDBLOCK) {
          ASSERT_THAT(names, ElementsAre());
        }
        ExpectNextSaveCleansUp();
        ASSERT_EQ(LowestFreeDescriptor(), descriptor);
        if (!files.fired()) break;
      }
    }
  }
}

TEST_P(AtomicFileFaultTest, AnErrorThatOnlySeemsToBeOneLeavesOldOrNew) {
  for (int n = 0;; ++n) {
    PutOld();
    FaultFileSystem files(Plan(Fault::kErrorAfter, n));
    const Status status = Save(target_, files);
    const std::string found = Content(target_);
    if (status.ok()) {
      ASSERT_EQ(found, kNew);
    } else {
      ASSERT_THAT(found, AnyOf(kOld, kNew));
    }
    ExpectNextSaveCleansUp();
    if (!files.fired()) break;
  }
}

TEST_P(AtomicFileFaultTest, ADiskThatDiesForGoodLeavesOldOrNew) {
  for (int n = 0;; ++n) {
    PutOld();
    FaultPlan plan = Plan(Fault::kError, n);
    plan.and_after = true;
    FaultFileSystem files(plan);
    const Status status = Save(target_, files);
    ASSERT_EQ(
        Content(target_),
        status.ok() || status.message().find("is in place") != std::string::npos
            ? kNew
            : kOld);
    ExpectNextSaveCleansUp();
    if (!files.fired()) break;
  }
}

TEST_P(AtomicFileFaultTest, AnyInterruptionIsAbsorbed) {
  for (const bool sync : {true, false}) {
    for (int n = 0;; ++n) {
      PutOld();
      FaultFileSystem files(Plan(Fault::kError, n, EINTR));
      CAISSON_ASSERT_OK(Save(target_, files, sync));
      ASSERT_EQ(Content(target_), kNew);
      ASSERT_THAT(scratch_->Names(), ElementsAre("f"));
      if (!files.fired()) break;
    }
  }
}

TEST_P(AtomicFileFaultTest, AFullDiskLeavesTheOldFileAndSaysWhatWasNeeded) {
  PutOld();
  FaultPlan plan = Plan(Fault::kError, 1, ENOSPC);
  plan.only = "write";
  FaultFileSystem files(plan);
  EXPECT_THAT(Save(target_, files),
              StatusIs(StatusCode::kIo,
                       target_ + ": write at 4000: needed 1000 bytes, 0 done: "
                                 "No space left on device"));
  EXPECT_EQ(Content(target_), kOld);
  EXPECT_THAT(scratch_->Names(), ElementsAre("f"));
}

TEST_P(AtomicFileFaultTest, AFailedDirectorySyncSaysThatTheNewFileIsInPlace) {
  PutOld();
  FaultPlan plan = Plan(Fault::kError, 1);
  plan.only = "sync";
  FaultFileSystem files(plan);
  EXPECT_THAT(Save(target_, files),
              StatusIs(StatusCode::kIo,
                       HasSubstr(target_ + ": the new file is in place")));
  EXPECT_EQ(Content(target_), kNew);
}

TEST_P(AtomicFileFaultTest, AFileSystemThatSyncsNoDirectorySaves) {
  for (const int error : {EINVAL, ENOSYS, EOPNOTSUPP}) {
    FaultPlan plan = Plan(Fault::kError, 1, error);
    plan.only = "sync";
    FaultFileSystem files(plan);
    CAISSON_EXPECT_OK(Save(target_, files));
    EXPECT_TRUE(files.fired());
  }
}

TEST_P(AtomicFileFaultTest, WithoutLocksItSavesAndLeavesTheLeftovers) {
  PutOld();
  Put(*scratch_ / ".f.1-0.tmp", "left");
  FaultPlan plan = Plan(Fault::kError, 0, ENOLCK);
  plan.only = "lock";
  plan.and_after = true;
  FaultFileSystem files(plan);
  CAISSON_ASSERT_OK(Save(target_, files));
  EXPECT_EQ(Content(target_), kNew);
  EXPECT_THAT(scratch_->Names(), ElementsAre(".f.1-0.tmp", "f"));
}

TEST_P(AtomicFileFaultTest, TakenNamesAreNotTriedForever) {
  FaultPlan plan = Plan(Fault::kError, GetParam().no_unnamed ? 1 : 0, EEXIST);
  plan.only = GetParam().no_unnamed ? "open" : "link";
  plan.and_after = true;
  FaultFileSystem files(plan);
  EXPECT_THAT(Save(target_, files),
              StatusIs(StatusCode::kIo, HasSubstr("no free name")));
  EXPECT_THAT(scratch_->Names(), ElementsAre());
}

// Another save of the same target starts, removes what looks left over, and
// ends, in the moment before each operation of ours.
TEST_P(AtomicFileFaultTest, ASaveAtAnyMomentOfAnotherDisturbsNeither) {
  for (int n = 0;; ++n) {
    PutOld();
    FaultPlan plan = Plan(Fault::kRace, n);
    Status other;
    plan.race = [&] {
      FaultFileSystem undisturbed(Plan(Fault::kNone, 0));
      other = Save(target_, undisturbed, false);
    };
    FaultFileSystem files(plan);
    SCOPED_TRACE(n);
    CAISSON_ASSERT_OK(Save(target_, files));
    CAISSON_ASSERT_OK(other);
    ASSERT_EQ(Content(target_), kNew);
    ASSERT_THAT(scratch_->Names(), ElementsAre("f"));
    if (!files.fired()) break;
  }
}

TEST_P(AtomicFileFaultTest, KilledAtAnyOperationItLeavesOldOrNew) {
  bool finished = false;
  int unfinished_saves = 0;
  for (int n = 0; !finished; ++n) {
    PutOld();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultFileSystem files(Plan(Fault::kKill, n));
      _exit(Save(target_, files).ok() ? 0 : 1);
    }
    int how = 0;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    finished = WIFEXITED(how);
    if (finished) {
      ASSERT_EQ(WEXITSTATUS(how), 0);
      ASSERT_EQ(Content(target_), kNew);
    } else {
      ASSERT_EQ(WTERMSIG(how), SIGKILL);
      const std::string found = Content(target_);
      ASSERT_THAT(found, AnyOf(kOld, kNew)) << "killed at operation " << n;
      unfinished_saves += found == kOld;
    }
    ExpectNextSaveCleansUp();
  }
  EXPECT_GT(unfinished_saves, 5);
}

}  // namespace
}  // namespace caisson
