// SPDX-License-Identifier: Apache-2.0
//
// The model of a power cut that the engine's tests trust: what it may lose, and
// what it must not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/io/file.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/power_cut_file_system.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr size_t kSector = 512;

// What a directory holds, as "name=content name=content ".
std::string Image(const ScratchDirectory& scratch) {
  std::string image;
  for (const std::string& name : scratch.Names()) {
    image += name + "=" + Content(scratch / name) + " ";
  }
  return image;
}

class PowerCutModelTest : public testing::Test {
 protected:
  // Takes `durable` as it is, and opens the directory.
  void Begin(PowerCutPlan plan = {}) {
    files_.emplace(scratch_.path(), plan);
    dir_ = files_->Open(AT_FDCWD, scratch_.path().c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  }
  ~PowerCutModelTest() override {
    if (dir_ >= 0) files_->Close(dir_);
  }

  File Create(const std::string& name) {
    return File(files_->Open(dir_, name.c_str(), O_RDWR | O_CREAT, 0666), name,
                *files_);
  }

  // Everything that may be found, over many seeds.
  std::set<std::string> Images() const {
    std::set<std::string> images;
    for (uint64_t seed = 0; seed < 300; ++seed) {
      const ScratchDirectory after(MemoryRoot());
      files_->Cut(seed, after.path());
      images.insert(Image(after));
    }
    return images;
  }

  const ScratchDirectory scratch_;
  std::optional<PowerCutFileSystem> files_;
  int dir_ = -1;
};

TEST_F(PowerCutModelTest, KeepsWhatWasThere) {
  Put(scratch_ / "a", "old");
  std::filesystem::create_symlink("a", scratch_ / "b");
  Begin();
  EXPECT_THAT(Images(), ElementsAre("a=old b=old "));
  const ScratchDirectory after(MemoryRoot());
  files_->Cut(1, after.path());
  EXPECT_EQ(std::filesystem::read_symlink(after / "b"), "a");
}

TEST_F(PowerCutModelTest, TearsWhatWasWrittenAtSectors) {
  const std::string old(4 * kSector, 'o');
  const std::string fresh(4 * kSector, 'n');
  Put(scratch_ / "a", old);
  Begin();
  File file = Create("a");
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes(fresh)));
  bool torn = false;
  const auto images = Images();
  for (const std::string& image : images) {
    const std::string content = image.substr(2, 4 * kSector);
    for (size_t at = 0; at < content.size(); at += kSector) {
      const std::string sector = content.substr(at, kSector);
      ASSERT_TRUE(sector == std::string(kSector, 'o') ||
                  sector == std::string(kSector, 'n'));
    }
    torn = torn || (content != old && content != fresh);
  }
  EXPECT_THAT(images, Contains("a=" + old + " "));
  EXPECT_THAT(images, Contains("a=" + fresh + " "));
  EXPECT_TRUE(torn);
  CAISSON_ASSERT_OK(file.Sync());
  EXPECT_THAT(Images(), ElementsAre("a=" + fresh + " "));
}

TEST_F(PowerCutModelTest, LosesALaterWriteOrAnEarlierOne) {
  Put(scratch_ / "a", std::string(2 * kSector, 'o'));
  Begin();
  File file = Create("a");
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes(std::string(kSector, '1'))));
  CAISSON_ASSERT_OK(file.WriteAt(kSector, AsBytes(std::string(kSector, '2'))));
  const auto image = [](char first, char second) {
    return "a=" + std::string(kSector, first) + std::string(kSector, second) +
           " ";
  };
  EXPECT_THAT(Images(), UnorderedElementsAre(image('o', 'o'), image('1', 'o'),
                                             image('o', '2'), image('1', '2')));
}

TEST_F(PowerCutModelTest, LosesASizeAndWhatWasTruncated) {
  Put(scratch_ / "a", "old");
  Begin();
  File file = Create("a");
  CAISSON_ASSERT_OK(file.Truncate(1));
  CAISSON_ASSERT_OK(file.WriteAt(1, AsBytes("bcde")));
  // The sector is old, or cut, or new; so is the size.
  EXPECT_THAT(Images(),
              UnorderedElementsAre("a=old ", "a=o ", "a=obcde ", "a=obc ",
                                   "a=old" + std::string(2, '\0') + " ",
                                   "a=o" + std::string(2, '\0') + " ",
                                   "a=o" + std::string(4, '\0') + " "));
}

TEST_F(PowerCutModelTest, ADirectorySyncKeepsNamesAndNoContent) {
  Begin();
  File file = Create("a");
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("new")));
  EXPECT_THAT(Images(), Contains(""));
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), Not(Contains("")));
  EXPECT_THAT(Images(), Contains("a= "));
  EXPECT_THAT(Images(), Contains("a=new "));
}

TEST_F(PowerCutModelTest, AFileSyncKeepsContentAndNoName) {
  Begin();
  File file = Create("a");
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("new")));
  CAISSON_ASSERT_OK(file.Sync());
  EXPECT_THAT(Images(), ElementsAre("", "a=new "));
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), ElementsAre("a=new "));
}

TEST_F(PowerCutModelTest, ARenameHappensWhollyOrNot) {
  Put(scratch_ / "a", "1");
  Put(scratch_ / "b", "2");
  Begin();
  ASSERT_EQ(files_->Rename(dir_, "a", "b"), 0);
  EXPECT_THAT(Images(), ElementsAre("a=1 b=2 ", "b=1 "));
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), ElementsAre("b=1 "));
}

TEST_F(PowerCutModelTest, ChangesOfADirectoryAreReordered) {
  Put(scratch_ / "a", "1");
  Put(scratch_ / "b", "2");
  Begin();
  ASSERT_EQ(files_->Unlink(dir_, "a"), 0);
  ASSERT_EQ(files_->Symlink("b", dir_, "c"), 0);
  EXPECT_THAT(Images(),
              ElementsAre("a=1 b=2 ", "a=1 b=2 c=2 ", "b=2 ", "b=2 c=2 "));
}

TEST_F(PowerCutModelTest, AnUnnamedFileIsThereOnceItsNameIsSynced) {
  Begin();
  const int fd = files_->OpenUnnamed(dir_, 0666);
  if (fd < 0) GTEST_SKIP() << "no unnamed files in " << scratch_.path();
  File file(fd, "a", *files_);
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("new")));
  CAISSON_ASSERT_OK(file.Sync());
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), ElementsAre(""));
  ASSERT_EQ(files_->LinkUnnamed(fd, dir_, "a"), 0);
  EXPECT_THAT(Images(), ElementsAre("", "a=new "));
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), ElementsAre("a=new "));
}

TEST_F(PowerCutModelTest, NothingHappensAfterTheCut) {
  Put(scratch_ / "a", "old");
  Begin({.at = 2});
  File file = Create("a");
  EXPECT_FALSE(files_->cut());
  EXPECT_THAT(file.WriteAt(0, AsBytes("new")), StatusIs(StatusCode::kIo));
  EXPECT_TRUE(files_->cut());
  EXPECT_EQ(files_->Unlink(dir_, "a"), -EIO);
  EXPECT_EQ(files_->Sync(dir_), -EIO);
  EXPECT_EQ(files_->operations(), 2);
  EXPECT_THAT(Images(), ElementsAre("a=old "));
}

TEST_F(PowerCutModelTest, ThreadsMayWriteAtOnce) {
  Begin();
  File file = Create("a");
  std::vector<std::thread> threads;
  for (size_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      for (size_t i = n; i < 64; i += 4) {
        CAISSON_EXPECT_OK(file.WriteAt(10 * i, AsBytes(std::string(10, 'n'))));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CAISSON_ASSERT_OK(file.Sync());
  ASSERT_EQ(files_->Sync(dir_), 0);
  EXPECT_THAT(Images(), ElementsAre("a=" + std::string(640, 'n') + " "));
}

}  // namespace
}  // namespace caisson
