// SPDX-License-Identifier: Apache-2.0
//
// What AtomicFile does when nothing fails; atomic_file_fault_test.cc has the
// rest.
#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AtomicFileTest : public testing::TestWithParam<bool> {
 protected:
  AtomicFileTest() : files_({.no_unnamed = GetParam()}) {}

  Result<AtomicFile> Create(const std::string& path) {
    return AtomicFile::Create(path, {}, files_);
  }

  void Save(const std::string& path, const std::string& content) {
    CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile atomic, Create(path));
    CAISSON_ASSERT_OK(atomic.file().WriteAt(0, AsBytes(content)));
    CAISSON_ASSERT_OK(atomic.Commit());
  }

  mode_t ModeOf(const std::string& path) {
    struct stat found;
    EXPECT_EQ(stat(path.c_str(), &found), 0);
    return found.st_mode & 07777;
  }

  ScratchDirectory scratch_;
  FaultFileSystem files_;
};

INSTANTIATE_TEST_SUITE_P(Temporaries, AtomicFileTest, testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "named" : "unnamed";
                         });

TEST_P(AtomicFileTest, CommitCreatesAndThenReplaces) {
  Save(scratch_ / "f", "first");
  EXPECT_EQ(Content(scratch_ / "f"), "first");
  Save(scratch_ / "f", "2nd");
  EXPECT_EQ(Content(scratch_ / "f"), "2nd");
  EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
}

TEST_P(AtomicFileTest, NothingChangesBeforeCommit) {
  Put(scratch_ / "f", "old");
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile atomic, Create(scratch_ / "f"));
  CAISSON_ASSERT_OK(atomic.file().WriteAt(0, AsBytes("new")));
  CAISSON_ASSERT_OK(atomic.file().Sync());
  EXPECT_EQ(Content(scratch_ / "f"), "old");
}

TEST_P(AtomicFileTest, AnEmptyFileCanBeCommitted) {
  Put(scratch_ / "f", "old");
  Save(scratch_ / "f", "");
  EXPECT_EQ(Content(scratch_ / "f"), "");
}

TEST_P(AtomicFileTest, AbandoningLeavesTheTargetAndNothingElse) {
  Put(scratch_ / "f", "old");
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile atomic, Create(scratch_ / "f"));
    CAISSON_ASSERT_OK(atomic.file().WriteAt(0, AsBytes("new")));
    atomic.Abandon();
    EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
    EXPECT_THAT(atomic.Commit(), StatusIs(StatusCode::kInvalidArgument));
  }
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile atomic, Create(scratch_ / "f"));
    CAISSON_ASSERT_OK(atomic.file().WriteAt(0, AsBytes("new")));
  }
  EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
  EXPECT_EQ(Content(scratch_ / "f"), "old");
}

TEST_P(AtomicFileTest, TheSecondCommitIsRefused) {
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile atomic, Create(scratch_ / "f"));
  CAISSON_ASSERT_OK(atomic.Commit());
  EXPECT_THAT(atomic.Commit(), StatusIs(StatusCode::kInvalidArgument,
                                        HasSubstr(scratch_ / "f")));
  EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
}

TEST_P(AtomicFileTest, MovingKeepsExactlyOneOwner) {
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile first, Create(scratch_ / "first"));
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile second, Create(scratch_ / "second"));
  CAISSON_ASSERT_OK(second.file().WriteAt(0, AsBytes("2")));
  first = std::move(second);  // abandons "first"
  second.Abandon();           // NOLINT: has nothing any more
  const AtomicFile* const self = &first;
  first = std::move(const_cast<AtomicFile&>(*self));
  AtomicFile third = std::move(first);
  CAISSON_ASSERT_OK(third.Commit());
  EXPECT_THAT(scratch_.Names(), ElementsAre("second"));
  EXPECT_EQ(Content(scratch_ / "second"), "2");
}

TEST_P(AtomicFileTest, SyncsTheContentBeforeAndTheDirectoryAfterTheRename) {
  Save(scratch_ / "f", "new");
  auto log = files_.log();
  std::erase_if(log, [](const std::string& name) {
    return name != "sync" && name != "rename" && name != "write";
  });
  EXPECT_THAT(log, ElementsAre("write", "sync", "rename", "sync"));
}

TEST_P(AtomicFileTest, WithoutSyncItStillAsksForTheErrorsOfClose) {
  CAISSON_ASSERT_OK_AND_ASSIGN(
      AtomicFile atomic,
      AtomicFile::Create(scratch_ / "f", {.sync = false}, files_));
  CAISSON_ASSERT_OK(atomic.Commit());
  auto log = files_.log();
  std::erase_if(log, [](const std::string& name) {
    return name != "sync" && name != "rename" && name != "flush";
  });
  EXPECT_THAT(log, ElementsAre("flush", "rename"));
}

TEST_P(AtomicFileTest, KeepsThePermissionBitsOfWhatItReplaces) {
  const mode_t mask = umask(0077);
  for (const mode_t mode : {0600, 0664, 0755, 0444, 0007}) {
    Put(scratch_ / "f", "old");
    ASSERT_EQ(chmod((scratch_ / "f").c_str(), mode), 0);
    Save(scratch_ / "f", "new");
    EXPECT_EQ(ModeOf(scratch_ / "f"), mode);
    fs::remove(scratch_ / "f");
  }
  umask(mask);
}

TEST_P(AtomicFileTest, ANewFileFollowsTheUmask) {
  const mode_t mask = umask(0027);
  Save(scratch_ / "f", "new");
  umask(mask);
  EXPECT_EQ(ModeOf(scratch_ / "f"), 0640u);
}

TEST_P(AtomicFileTest, ASymbolicLinkStaysAndItsTargetIsReplaced) {
  fs::create_directory(scratch_ / "data");
  Put(scratch_ / "data/real", "old");
  fs::create_symlink("data/real", scratch_ / "near");
  fs::create_symlink(scratch_ / "near", scratch_ / "far");
  Save(scratch_ / "far", "new");
  EXPECT_EQ(fs::read_symlink(scratch_ / "far"), scratch_ / "near");
  EXPECT_EQ(fs::read_symlink(scratch_ / "near"), "data/real");
  EXPECT_FALSE(fs::is_symlink(scratch_ / "data/real"));
  EXPECT_EQ(Content(scratch_ / "data/real"), "new");
  EXPECT_THAT(scratch_.Names(), ElementsAre("data", "far", "near"));
}

TEST_P(AtomicFileTest, ASymbolicLinkToNothingNamesTheFileToCreate) {
  fs::create_directory(scratch_ / "data");
  fs::create_symlink("data/fresh", scratch_ / "link");
  Save(scratch_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(scratch_ / "link"));
  EXPECT_EQ(Content(scratch_ / "data/fresh"), "new");
}

TEST_P(AtomicFileTest, ALinkedDirectoryIsFollowedLikeAnyOther) {
  fs::create_directories(scratch_ / "deep/data");
  fs::create_symlink("deep/data", scratch_ / "link");
  fs::create_symlink("../up", scratch_ / "deep/data/f");  // deep/up
  Save(scratch_ / "link/f", "new");
  EXPECT_EQ(Content(scratch_ / "deep/up"), "new");
}

TEST_P(AtomicFileTest, ALoopOfLinksIsRefused) {
  fs::create_symlink("b", scratch_ / "a");
  fs::create_symlink("a", scratch_ / "b");
  EXPECT_THAT(Create(scratch_ / "a"), StatusIs(StatusCode::kInvalidArgument,
                                               HasSubstr("symbolic links")));
  EXPECT_THAT(scratch_.Names(), ElementsAre("a", "b"));
}

TEST_P(AtomicFileTest, ARelativePathIsInTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(scratch_.path());
  Save("bare", "new");
  EXPECT_EQ(Content("bare"), "new");
  fs::current_path(before);
}

TEST_P(AtomicFileTest, AMissingDirectoryIsNotFound) {
  EXPECT_THAT(
      Create(scratch_ / "absent/f"),
      StatusIs(StatusCode::kNotFound, HasSubstr(scratch_ / "absent/f")));
  Put(scratch_ / "file", "");
  EXPECT_THAT(Create(scratch_ / "file/f"), StatusIs(StatusCode::kNotFound));
}

TEST_P(AtomicFileTest, OnlyARegularFileIsReplaced) {
  fs::create_directory(scratch_ / "dir");
  ASSERT_EQ(mkfifo((scratch_ / "pipe").c_str(), 0600), 0);
  fs::create_symlink("dir", scratch_ / "link");
  for (const std::string& path :
       {scratch_ / "dir", scratch_ / "dir/", scratch_ / "dir/.",
        scratch_ / "dir/..", scratch_ / "link", scratch_ / "pipe",
        std::string("/dev/null"), std::string("/"), std::string(),
        scratch_ / std::string("f\0g", 3), scratch_ / std::string(256, 'n')}) {
    EXPECT_THAT(Create(path), StatusIs(StatusCode::kInvalidArgument)) << path;
  }
  EXPECT_THAT(scratch_.Names(), ElementsAre("dir", "link", "pipe"));
}

TEST_P(AtomicFileTest, TheLongestNameWorks) {
  const std::string longest(255, 'n');
  Save(scratch_ / longest, "new");
  EXPECT_THAT(scratch_.Names(), ElementsAre(longest));
}

TEST_P(AtomicFileTest, AReadOnlyDirectoryIsAnIoError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write to every directory";
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0555), 0);
  EXPECT_THAT(Create(scratch_ / "f"),
              StatusIs(StatusCode::kIo, HasSubstr("Permission denied")));
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
  EXPECT_THAT(scratch_.Names(), IsEmpty());
}

TEST_P(AtomicFileTest, OfTwoWritersTheLastCommitWins) {
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile first, Create(scratch_ / "f"));
  CAISSON_ASSERT_OK_AND_ASSIGN(AtomicFile second, Create(scratch_ / "f"));
  CAISSON_ASSERT_OK(first.file().WriteAt(0, AsBytes("the first")));
  CAISSON_ASSERT_OK(second.file().WriteAt(0, AsBytes("second")));
  CAISSON_ASSERT_OK(second.Commit());
  EXPECT_EQ(Content(scratch_ / "f"), "second");
  CAISSON_ASSERT_OK(first.Commit());
  EXPECT_EQ(Content(scratch_ / "f"), "the first");
  EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
}

TEST_P(AtomicFileTest, ManyWritersAndReadersSeeOnlyWholeFiles) {
  Save(scratch_ / "f", std::string(1000, 'a'));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const std::string content(1000 + 100 * t, static_cast<char>('a' + t));
      for (int i = 0; i < 25; ++i) {
        auto atomic =
            AtomicFile::Create(scratch_ / "f", {.sync = false}, files_);
        ASSERT_THAT(atomic, IsOk());
        File& file = atomic->file();
        CAISSON_ASSERT_OK(file.WriteAt(500, AsBytes(content).subspan(500)));
        CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes(content).first(500)));
        if (i % 5 == 4) continue;  // abandoned
        CAISSON_ASSERT_OK(atomic->Commit());
      }
    });
    threads.emplace_back([this] {
      for (int i = 0; i < 100; ++i) {
        const std::string found = Content(scratch_ / "f");
        ASSERT_FALSE(found.empty());
        const auto writer = static_cast<size_t>(found.front() - 'a');
        ASSERT_EQ(found, std::string(1000 + 100 * writer, found.front()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(scratch_.Names(), ElementsAre("f"));
}

}  // namespace
}  // namespace caisson
