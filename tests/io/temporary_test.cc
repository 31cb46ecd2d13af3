// SPDX-License-Identifier: Apache-2.0
#include "core/io/temporary.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Temporary, NamesAreHiddenUniqueAndCarryTargetAndProcess) {
  const std::string first = TemporaryName("model.pt");
  EXPECT_THAT(first, StartsWith(".model.pt." + std::to_string(getpid()) + "-"));
  EXPECT_NE(first, TemporaryName("model.pt"));
  EXPECT_TRUE(IsTemporaryOf("model.pt", first));
}

TEST(Temporary, AnyProcessMayHaveMadeIt) {
  EXPECT_TRUE(IsTemporaryOf("a", ".a.1-0.tmp"));
  EXPECT_TRUE(IsTemporaryOf("a", ".a.4194304-18446744073709551615.tmp"));
}

TEST(Temporary, OtherNamesAreNotTaken) {
  for (const char* name :
       {"", "a", ".a", ".a.", ".a.tmp", ".a.1.tmp", ".a.1-.tmp", ".a.-1.tmp",
        ".a.1-2", ".a.1-2.tm", ".a.1-2.tmp~", ".a.1-2x.tmp", ".a.x1-2.tmp",
        "a.1-2.tmp", ".b.1-2.tmp", ".a.b.1-2.tmp", ".a.1-2.tmp.3-4.tmp"}) {
    EXPECT_FALSE(IsTemporaryOf("a", name)) << name;
  }
  // The temporary of a target that is called like one.
  EXPECT_TRUE(IsTemporaryOf("a.1-2.tmp", ".a.1-2.tmp.3-4.tmp"));
  EXPECT_FALSE(IsTemporaryOf("a.1-2.tmp", ".a.1-2.tmp"));
}

TEST(Temporary, LongTargetsAreCutBetweenCharacters) {
  const std::string ascii(199, 'a');
  std::string target = ascii;
  for (int i = 0; i < 18; ++i) target += "\xE2\x82\xAC";  // 3 bytes each
  ASSERT_EQ(target.size(), 253u);
  const std::string name = TemporaryName(target);
  EXPECT_LE(name.size(), 255u);
  EXPECT_THAT(name, StartsWith(std::string(".").append(ascii).append(".")));
  EXPECT_TRUE(IsTemporaryOf(target, name));
}

class LeftoversTest : public testing::Test {
 protected:
  LeftoversTest() : dir_(open(scratch_.path().c_str(), O_RDONLY)) {}
  ~LeftoversTest() override { close(dir_); }

  ScratchDirectory scratch_;
  int dir_;
};

TEST_F(LeftoversTest, OnlyUnlockedTemporariesOfTheTargetAreRemoved) {
  Put(scratch_ / "a", "target");
  Put(scratch_ / ".a.1-0.tmp", "left");
  Put(scratch_ / ".a.99999-7.tmp", "left");
  Put(scratch_ / ".a.1-2.tmp", "being written");
  Put(scratch_ / ".b.1-0.tmp", "of another target");
  Put(scratch_ / ".a.tmp", "of the user");
  const int held = open((scratch_ / ".a.1-2.tmp").c_str(), O_RDONLY);
  ASSERT_EQ(flock(held, LOCK_EX), 0);
  RemoveLeftovers(FileSystem::Posix(), dir_, "a");
  EXPECT_THAT(scratch_.Names(),
              ElementsAre(".a.1-2.tmp", ".a.tmp", ".b.1-0.tmp", "a"));
  close(held);
  RemoveLeftovers(FileSystem::Posix(), dir_, "a");
  EXPECT_THAT(scratch_.Names(), ElementsAre(".a.tmp", ".b.1-0.tmp", "a"));
}

TEST_F(LeftoversTest, WhatIsNoRegularFileStays) {
  Put(scratch_ / "precious", "content");
  std::filesystem::create_symlink("precious", scratch_ / ".a.1-0.tmp");
  std::filesystem::create_directory(scratch_ / ".a.1-1.tmp");
  ASSERT_EQ(mkfifo((scratch_ / ".a.1-2.tmp").c_str(), 0600), 0);
  RemoveLeftovers(FileSystem::Posix(), dir_, "a");
  EXPECT_THAT(scratch_.Names(), ElementsAre(".a.1-0.tmp", ".a.1-1.tmp",
                                            ".a.1-2.tmp", "precious"));
}

TEST_F(LeftoversTest, LeftoversOfAReadOnlyTargetAreRemoved) {
  Put(scratch_ / ".a.1-0.tmp", "left");
  ASSERT_EQ(chmod((scratch_ / ".a.1-0.tmp").c_str(), 0444), 0);
  // What anybody but root meets.
  FaultFileSystem files(
      {.fault = Fault::kError, .only = "open", .error = EACCES});
  RemoveLeftovers(files, dir_, "a");
  EXPECT_THAT(scratch_.Names(), ElementsAre());
}

TEST_F(LeftoversTest, WithoutLocksNothingIsRemoved) {
  Put(scratch_ / ".a.1-0.tmp", "perhaps being written");
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP, EBADF}) {
    FaultFileSystem files(
        {.fault = Fault::kError, .only = "lock", .error = error});
    RemoveLeftovers(files, dir_, "a");
    EXPECT_THAT(scratch_.Names(), ElementsAre(".a.1-0.tmp"));
  }
}

TEST_F(LeftoversTest, ANameThatChangedHandsMeanwhileIsLeftAlone) {
  Put(scratch_ / ".a.1-0.tmp", "complete");
  FaultFileSystem files({.fault = Fault::kRace, .only = "lock", .race = [&] {
                           std::filesystem::rename(scratch_ / ".a.1-0.tmp",
                                                   scratch_ / "a");
                           Put(scratch_ / ".a.1-0.tmp", "of another writer");
                         }});
  RemoveLeftovers(files, dir_, "a");
  EXPECT_TRUE(files.fired());
  EXPECT_THAT(scratch_.Names(), ElementsAre(".a.1-0.tmp", "a"));
}

TEST_F(LeftoversTest, NoFailureRemovesAnythingElse) {
  for (int n = 0;; ++n) {
    Put(scratch_ / "a", "target");
    Put(scratch_ / ".a.1-0.tmp", "left");
    FaultFileSystem files({.fault = Fault::kError, .at = n});
    RemoveLeftovers(files, dir_, "a");
    EXPECT_EQ(Content(scratch_ / "a"), "target");
    if (!files.fired()) break;
  }
  EXPECT_THAT(scratch_.Names(), ElementsAre("a"));
}

}  // namespace
}  // namespace caisson
