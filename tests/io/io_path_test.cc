// SPDX-License-Identifier: Apache-2.0
#include "core/io/io_path.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "core/io/file_system_name.h"
#include "core/io/io_queue.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class IoPathTest : public testing::Test {
 protected:
  // What is found where one operation fails.
  Result<IoPath> ProbeWith(FaultPlan plan) {
    FaultFileSystem files(std::move(plan));
    auto path = ProbeIoPath(scratch_.path(), files);
    EXPECT_TRUE(files.fired());
    return path;
  }

  // Skips where the answer of the real file system decides.
  bool InMemory() {
    const auto path = ProbeIoPath(scratch_.path());
    return !path || IsInMemory(path->file_system);
  }

  ScratchDirectory scratch_;
};

TEST_F(IoPathTest, FindsAWayAndLeavesNothing) {
  const int before = LowestFreeDescriptor();
  CAISSON_ASSERT_OK_AND_ASSIGN(const IoPath path, ProbeIoPath(scratch_.path()));
  EXPECT_FALSE(path.file_system.empty());
  EXPECT_FALSE(path.direct_reason.empty());
  EXPECT_FALSE(path.queue_reason.empty());
  EXPECT_NE(path.queue, IoKind::kAuto);
  ASSERT_TRUE(path.free_bytes.has_value());
  EXPECT_GT(*path.free_bytes, 0u);
  EXPECT_THAT(scratch_.Names(), IsEmpty());
  EXPECT_EQ(LowestFreeDescriptor(), before);
}

TEST_F(IoPathTest, AFoundWayWorks) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const IoPath path, ProbeIoPath(scratch_.path()));
  CAISSON_ASSERT_OK(path.queue == IoKind::kUring ? MakeUringQueue(1)
                                                 : MakeThreadQueue(1));
  CAISSON_ASSERT_OK_AND_ASSIGN(File file,
                               File::CreateExclusive(scratch_ / "f"));
  if (path.direct) {
    EXPECT_TRUE(file.SetDirect(true));
  }
}

TEST_F(IoPathTest, WithoutUnnamedFilesANamedOneIsRemoved) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const IoPath wanted,
                               ProbeIoPath(scratch_.path()));
  FaultFileSystem files({.no_unnamed = true});
  CAISSON_ASSERT_OK_AND_ASSIGN(const IoPath path,
                               ProbeIoPath(scratch_.path(), files));
  EXPECT_EQ(path.direct, wanted.direct);
  EXPECT_EQ(path.direct_reason, wanted.direct_reason);
  EXPECT_THAT(scratch_.Names(), IsEmpty());
  EXPECT_THAT(files.log(), testing::Contains("unlink"));
}

TEST_F(IoPathTest, AFlagThatIsRefusedMeansBuffered) {
  if (InMemory()) GTEST_SKIP() << scratch_.path() << " is in memory";
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const IoPath path,
      ProbeWith(
          {.fault = Fault::kError, .only = "set direct", .error = EINVAL}));
  EXPECT_FALSE(path.direct);
  EXPECT_EQ(path.direct_reason, "O_DIRECT is refused: Invalid argument");
}

TEST_F(IoPathTest, ATransferThatIsRefusedMeansBuffered) {
  if (InMemory()) GTEST_SKIP() << scratch_.path() << " is in memory";
  for (const std::string verb : {"write", "read"}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const IoPath refused,
        ProbeWith({.fault = Fault::kError, .only = verb, .error = EINVAL}));
    EXPECT_FALSE(refused.direct);
    EXPECT_EQ(refused.direct_reason,
              "a " + verb + " with O_DIRECT failed: Invalid argument");
    CAISSON_ASSERT_OK_AND_ASSIGN(
        const IoPath part, ProbeWith({.fault = Fault::kNothing, .only = verb}));
    EXPECT_FALSE(part.direct);
    EXPECT_EQ(part.direct_reason,
              "a " + verb + " with O_DIRECT moved 0 bytes of 4096");
  }
}

TEST_F(IoPathTest, MemoryHasNoDeviceBelow) {
  const auto path = ProbeIoPath("/dev/shm");
  if (!path || path->file_system != "tmpfs") {
    GTEST_SKIP() << "no tmpfs to write to at /dev/shm";
  }
  EXPECT_FALSE(path->direct);
  EXPECT_EQ(path->direct_reason, "tmpfs has no device below it");
}

TEST_F(IoPathTest, NamesTheDirectoryThatCannotBeUsed) {
  EXPECT_THAT(ProbeIoPath(scratch_ / "absent"),
              StatusIs(StatusCode::kNotFound, HasSubstr(scratch_ / "absent")));
  Put(scratch_ / "file", "");
  EXPECT_THAT(ProbeIoPath(scratch_ / "file"),
              StatusIs(StatusCode::kNotFound, HasSubstr("Not a directory")));
  EXPECT_THAT(ProbeIoPath(std::string("/tmp\0x", 6)),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(
      ProbeWith(
          {.fault = Fault::kError, .at = 1, .and_after = true, .error = EROFS}),
      StatusIs(StatusCode::kIo,
               scratch_.path() + ": create a file: Read-only file system"));
}

TEST_F(IoPathTest, AbsorbsInterruptionsOfEveryOperation) {
  const int before = LowestFreeDescriptor();
  for (const bool no_unnamed : {false, true}) {
    for (int n = 0;; ++n) {
      FaultFileSystem files({.fault = Fault::kError,
                             .at = n,
                             .error = EINTR,
                             .no_unnamed = no_unnamed});
      CAISSON_EXPECT_OK(ProbeIoPath(scratch_.path(), files));
      EXPECT_THAT(scratch_.Names(), IsEmpty()) << n;
      EXPECT_EQ(LowestFreeDescriptor(), before) << n;
      if (!files.fired()) break;
    }
  }
}

TEST(FileSystemName, KnowsWhatIsEverywhere) {
  const int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no /proc";
  EXPECT_EQ(FileSystemName(fd), "unknown (0x9fa0)");  // PROC_SUPER_MAGIC
  close(fd);
  EXPECT_EQ(FileSystemName(-1), "unknown");
  EXPECT_TRUE(IsInMemory("tmpfs"));
  EXPECT_FALSE(IsInMemory("ext4"));
}

// It kept O_DIRECT, with which the file system had just refused to write.
TEST_F(IoPathTest, ARefusedWriteLeavesTheFileWithoutDirectIo) {
  if (InMemory()) GTEST_SKIP() << "no direct I/O in " << scratch_.path();
  FaultFileSystem files(
      {.fault = Fault::kError, .at = 0, .only = "write", .error = EINVAL});
  CAISSON_ASSERT_OK_AND_ASSIGN(
      File file, File::CreateExclusive(scratch_ / "file", 0600, files));
  CAISSON_ASSERT_OK_AND_ASSIGN(const bool direct, ProbeDirect(file, files));
  EXPECT_FALSE(direct);
  EXPECT_EQ(fcntl(file.fd(), F_GETFL) & O_DIRECT, 0);
}

}  // namespace
}  // namespace caisson
