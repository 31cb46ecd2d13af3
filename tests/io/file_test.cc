// SPDX-License-Identifier: Apache-2.0
#include "core/io/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/buffer.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kHuge[] = {
    uint64_t{1} << 62, std::numeric_limits<int64_t>::max() - 1,
    std::numeric_limits<int64_t>::max(), uint64_t{1} << 63,
    std::numeric_limits<uint64_t>::max()};

class FileTest : public testing::Test {
 protected:
  // A file that holds `content`, open for reading and writing.
  File Make(std::string_view content, FileSystem& files = FileSystem::Posix()) {
    const std::string path = scratch_ / ("f" + std::to_string(made_++));
    Put(path, content);
    return File(open(path.c_str(), O_RDWR | O_CLOEXEC), path, files);
  }

  // How many pages of the first `bytes` are in the page cache.
  static int CachedPages(const File& file, size_t bytes) {
    void* const memory =
        mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd(), 0);
    EXPECT_NE(memory, MAP_FAILED);
    std::vector<unsigned char> pages(bytes /
                                     static_cast<size_t>(getpagesize()));
    EXPECT_EQ(mincore(memory, bytes, pages.data()), 0);
    munmap(memory, bytes);
    return static_cast<int>(
        std::ranges::count_if(pages, [](auto page) { return page & 1; }));
  }

  ScratchDirectory scratch_;
  int made_ = 0;
};

TEST_F(FileTest, ReadsBackWhatItWroteAtAnyOffset) {
  CAISSON_ASSERT_OK_AND_ASSIGN(File file,
                               File::CreateExclusive(scratch_ / "new"));
  CAISSON_ASSERT_OK(file.WriteAt(5000, AsBytes("world")));
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("hello")));
  EXPECT_THAT(file.Size(), IsOkAndHolds(5005u));
  std::string found(5, '?');
  CAISSON_ASSERT_OK(file.ReadAt(5000, AsWritable(found)));
  EXPECT_EQ(found, "world");
  CAISSON_ASSERT_OK(file.ReadAt(4998, AsWritable(found)));
  EXPECT_EQ(found, std::string("\0\0wor", 5));
  CAISSON_ASSERT_OK(file.Sync());
  CAISSON_ASSERT_OK(file.Flush());
  CAISSON_ASSERT_OK(file.Close());
  EXPECT_FALSE(file.is_open());
}

TEST_F(FileTest, TransfersOfNoBytesSucceedAnywhere) {
  File file = Make("abc");
  for (const uint64_t offset : {uint64_t{0}, uint64_t{3}, uint64_t{99}}) {
    CAISSON_EXPECT_OK(file.ReadAt(offset, {}));
    CAISSON_EXPECT_OK(file.WriteAt(offset, {}));
  }
  EXPECT_THAT(file.Size(), IsOkAndHolds(3u));
}

TEST_F(FileTest, ReadUpToGivesFewerBytesOnlyAtTheEnd) {
  const File file = Make("0123456789");
  std::string found(4, '?');
  EXPECT_THAT(file.ReadUpTo(6, AsWritable(found)), IsOkAndHolds(4u));
  EXPECT_EQ(found, "6789");
  EXPECT_THAT(file.ReadUpTo(8, AsWritable(found)), IsOkAndHolds(2u));
  EXPECT_EQ(found, "8989");
  EXPECT_THAT(file.ReadUpTo(10, AsWritable(found)), IsOkAndHolds(0u));
  for (const uint64_t offset : kHuge) {
    EXPECT_THAT(file.ReadUpTo(offset, AsWritable(found)), IsOkAndHolds(0u));
  }
}

TEST_F(FileTest, ReadAtPastTheEndNamesFileOffsetAndBytes) {
  const File file = Make("0123456789");
  std::string found(4, '?');
  EXPECT_THAT(
      file.ReadAt(8, AsWritable(found)),
      StatusIs(StatusCode::kIo,
               file.path() + ": read at 8: needed 4 bytes, 2 done: the file "
                             "ended"));
  for (const uint64_t offset : kHuge) {
    EXPECT_THAT(file.ReadAt(offset, AsWritable(found)),
                StatusIs(StatusCode::kIo));
  }
}

TEST_F(FileTest, RefusesToWriteWhereNoFileCanReach) {
  File file = Make("abc");
  for (const uint64_t offset : kHuge) {
    if (offset == kHuge[0]) continue;  // below 2^63: the system's answer
    EXPECT_THAT(file.WriteAt(offset, AsBytes("xyz")),
                StatusIs(StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(file.WriteAt(kHuge[0], AsBytes("xyz")),
              StatusIs(StatusCode::kIo, HasSubstr("File too large")));
  EXPECT_THAT(file.Truncate(uint64_t{1} << 63),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(file.Allocate(uint64_t{1} << 63),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(Content(file.path()), "abc");
}

TEST_F(FileTest, AbsorbsShortTransfers) {
  const auto bytes = RandomBytes(1000, 1);
  FaultFileSystem files({.fault = Fault::kShort, .and_after = true});
  File file = Make("", files);
  CAISSON_ASSERT_OK(file.WriteAt(7, bytes));
  std::vector<std::byte> found(bytes.size());
  CAISSON_ASSERT_OK(file.ReadAt(7, found));
  EXPECT_EQ(found, bytes);
  // 1000 halves to 1 in ten calls each way.
  EXPECT_EQ(files.log().size(), 20u);
}

TEST_F(FileTest, AbsorbsInterruptionsOfEveryOperation) {
  for (int n = 0;; ++n) {
    FaultFileSystem files({.fault = Fault::kError, .at = n, .error = EINTR});
    const std::string path = scratch_ / ("eintr" + std::to_string(n));
    CAISSON_ASSERT_OK_AND_ASSIGN(File file,
                                 File::CreateExclusive(path, 0600, files));
    CAISSON_ASSERT_OK(file.Allocate(100));
    CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("content")));
    CAISSON_ASSERT_OK(file.Truncate(7));
    CAISSON_ASSERT_OK(file.Sync());
    CAISSON_ASSERT_OK(file.Flush());
    CAISSON_ASSERT_OK(file.Close());
    CAISSON_ASSERT_OK_AND_ASSIGN(file, File::OpenForRead(path, files));
    EXPECT_THAT(file.Size(), IsOkAndHolds(7u));
    std::string found(7, '?');
    CAISSON_ASSERT_OK(file.ReadAt(0, AsWritable(found)));
    EXPECT_EQ(found, "content");
    CAISSON_ASSERT_OK(file.Close());
    if (!files.fired()) break;
  }
}

TEST_F(FileTest, AFailedReadNamesFileOffsetAndReason) {
  FaultFileSystem files({.fault = Fault::kError, .error = EIO});
  const File file = Make("0123456789", files);
  std::string found(4, '?');
  EXPECT_THAT(file.ReadAt(3, AsWritable(found)),
              StatusIs(StatusCode::kIo,
                       file.path() +
                           ": read at 3: needed 4 bytes, 0 done: Input/output "
                           "error"));
}

TEST_F(FileTest, AFullDiskNamesFileOffsetAndBytes) {
  FaultFileSystem files(
      {.fault = Fault::kError, .at = 0, .and_after = true, .error = ENOSPC});
  File file = Make("", files);
  EXPECT_THAT(
      file.WriteAt(4096, AsBytes("0123456789")),
      StatusIs(StatusCode::kIo,
               file.path() + ": write at 4096: needed 10 bytes, 0 done: No "
                             "space left on device"));
  EXPECT_THAT(
      file.Allocate(10),
      StatusIs(StatusCode::kIo,
               file.path() + ": allocate at 0: needed 10 bytes: No space "
                             "left on device"));
}

TEST_F(FileTest, ARealFullDeviceIsAnIoError) {
  const int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no /dev/full on this machine";
  File file(fd, "/dev/full", FileSystem::Posix());
  EXPECT_THAT(file.WriteAt(0, AsBytes("x")),
              StatusIs(StatusCode::kIo, HasSubstr("No space left on device")));
}

TEST_F(FileTest, AWriteOfNothingDoesNotRepeatForever) {
  FaultFileSystem files({.fault = Fault::kNothing, .and_after = true});
  File file = Make("", files);
  EXPECT_THAT(file.WriteAt(0, AsBytes("x")), StatusIs(StatusCode::kIo));
}

TEST_F(FileTest, EveryOtherOperationReportsItsFailure) {
  FaultFileSystem files({.fault = Fault::kError, .and_after = true});
  File file = Make("abc", files);
  EXPECT_THAT(file.Size(), StatusIs(StatusCode::kIo, HasSubstr(": stat: ")));
  EXPECT_THAT(file.Truncate(1),
              StatusIs(StatusCode::kIo, HasSubstr(": truncate at 1: ")));
  EXPECT_THAT(file.Sync(), StatusIs(StatusCode::kIo, HasSubstr(": sync: ")));
  EXPECT_THAT(file.Flush(), StatusIs(StatusCode::kIo, HasSubstr(": flush: ")));
  EXPECT_THAT(file.Close(), StatusIs(StatusCode::kIo, HasSubstr(": close: ")));
  EXPECT_FALSE(file.is_open());
  EXPECT_THAT(File::OpenForRead(file.path(), files), StatusIs(StatusCode::kIo));
  EXPECT_THAT(File::CreateExclusive(scratch_ / "x", 0600, files),
              StatusIs(StatusCode::kIo));
}

TEST_F(FileTest, OpensOnlyRegularFiles) {
  EXPECT_THAT(File::OpenForRead(scratch_ / "absent"),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr(scratch_ / "absent"),
                             HasSubstr("No such file or directory"))));
  EXPECT_THAT(File::OpenForRead(""), StatusIs(StatusCode::kNotFound));
  const File file = Make("abc");
  EXPECT_THAT(File::OpenForRead(file.path() + "/inside"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(
      File::OpenForRead(scratch_.path()),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("found a directory")));
  EXPECT_THAT(
      File::OpenForRead("/dev/null"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("found a device")));
  EXPECT_THAT(File::OpenForRead(file.path() + std::string("\0x", 2)),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(File::OpenForRead(scratch_ / std::string(300, 'n')),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(FileTest, RefusesAPipeWithoutWaitingForItsWriter) {
  const std::string path = scratch_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(File::OpenForRead(path), StatusIs(StatusCode::kInvalidArgument,
                                                HasSubstr("found a pipe")));
}

TEST_F(FileTest, LeavesNoStatusFlagOnTheDescriptor) {
  CAISSON_ASSERT_OK_AND_ASSIGN(const File file,
                               File::OpenForRead(Make("abc").path()));
  EXPECT_EQ(fcntl(file.fd(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(fcntl(file.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(FileTest, CreateExclusiveNeverTouchesAnExistingFile) {
  const File file = Make("abc");
  EXPECT_THAT(File::CreateExclusive(file.path()),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(File::CreateExclusive(scratch_ / "absent/file"),
              StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(Content(file.path()), "abc");
}

TEST_F(FileTest, AllocateReservesSpaceAndKeepsTheSize) {
  File file = Make("abc");
  CAISSON_ASSERT_OK_AND_ASSIGN(const bool reserved, file.Allocate(1 << 20));
  EXPECT_THAT(file.Size(), IsOkAndHolds(3u));
  if (!reserved) GTEST_SKIP() << "no fallocate on " << scratch_.path();
  struct stat found;
  ASSERT_EQ(fstat(file.fd(), &found), 0);
  EXPECT_GE(found.st_blocks * 512, 1 << 20);
  CAISSON_ASSERT_OK(file.Truncate(3));
  ASSERT_EQ(fstat(file.fd(), &found), 0);
  EXPECT_LT(found.st_blocks * 512, 1 << 20);
  EXPECT_EQ(Content(file.path()), "abc");
}

TEST_F(FileTest, AllocateSaysWhereTheFileSystemCannot) {
  for (const int error : {EOPNOTSUPP, ENOSYS}) {
    FaultFileSystem files({.fault = Fault::kError, .error = error});
    File file = Make("abc", files);
    EXPECT_THAT(file.Allocate(100), IsOkAndHolds(false));
  }
}

TEST_F(FileTest, DirectTransfersGoPastThePageCache) {
  constexpr size_t kBytes = 16 * kDirectAlignment;
  File file = Make("");
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer buffer, Buffer::Allocate(kBytes));
  FillRandom(buffer.bytes(), 1);
  if (!file.SetDirect(true) || !file.WriteAt(0, buffer.bytes()).ok()) {
    GTEST_SKIP() << "no direct I/O on " << scratch_.path();
  }
  EXPECT_NE(fcntl(file.fd(), F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(CachedPages(file, kBytes), 0);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer found, Buffer::Allocate(kBytes));
  CAISSON_ASSERT_OK(file.ReadAt(0, found.bytes()));
  EXPECT_TRUE(std::ranges::equal(found.bytes(), buffer.bytes()));
  EXPECT_EQ(CachedPages(file, kBytes), 0);

  EXPECT_TRUE(file.SetDirect(false));
  EXPECT_EQ(fcntl(file.fd(), F_GETFL) & O_DIRECT, 0);
  CAISSON_ASSERT_OK(file.WriteAt(kBytes, AsBytes("odd")));
  EXPECT_THAT(file.Size(), IsOkAndHolds(kBytes + 3));
}

TEST_F(FileTest, SetDirectSaysWhereTheFileSystemRefuses) {
  FaultFileSystem files({.fault = Fault::kError, .error = EINVAL});
  File file = Make("abc", files);
  EXPECT_FALSE(file.SetDirect(true));
  EXPECT_EQ(fcntl(file.fd(), F_GETFL) & O_DIRECT, 0);
}

TEST_F(FileTest, FreeBytesAreThoseOfTheFileSystem) {
  const File file = Make("abc");
  struct statvfs found;
  ASSERT_EQ(statvfs(scratch_.path().c_str(), &found), 0);
  const std::optional<uint64_t> free = file.FreeBytes();
  ASSERT_TRUE(free.has_value());
  EXPECT_GT(*free, 0u);
  // Others write meanwhile.
  EXPECT_LE(*free, uint64_t{found.f_blocks} * found.f_frsize);
  FaultFileSystem files({.fault = Fault::kError, .error = ENOSYS});
  EXPECT_EQ(Make("abc", files).FreeBytes(), std::nullopt);
}

TEST_F(FileTest, DropCacheDropsThePagesOfTheRangeAlone) {
  // The kernel drops whole folios, which may be of 2 MiB.
  constexpr size_t kBytes = size_t{16} << 20;
  const auto page = static_cast<size_t>(getpagesize());
  const int all = static_cast<int>(kBytes / page);
  File file = Make(std::string(kBytes, 'x'));
  std::vector<std::byte> content(kBytes);
  CAISSON_ASSERT_OK(file.Sync());  // dirty pages stay
  CAISSON_ASSERT_OK(file.ReadAt(0, content));
  ASSERT_EQ(CachedPages(file, kBytes), all);
  file.DropCache(0, 0);
  if (CachedPages(file, kBytes) == all) {
    GTEST_SKIP() << scratch_.path() << " keeps its pages";
  }
  EXPECT_EQ(CachedPages(file, kBytes), 0);
  CAISSON_ASSERT_OK(file.ReadAt(0, content));
  ASSERT_EQ(CachedPages(file, kBytes), all);
  file.DropCache(kBytes / 2, kBytes / 4);
  EXPECT_LT(CachedPages(file, kBytes), all);
  EXPECT_GE(CachedPages(file, kBytes), all - all / 4);
  EXPECT_EQ(Content(file.path()), std::string(kBytes, 'x'));
}

TEST_F(FileTest, TheMovedFromFileIsClosed) {
  File first = Make("first");
  File second = Make("second");
  const int fd = second.fd();
  first = std::move(second);
  EXPECT_EQ(first.fd(), fd);
  EXPECT_FALSE(second.is_open());  // NOLINT: that is the question
  const File third = std::move(first);
  EXPECT_EQ(third.fd(), fd);
  std::string found(6, '?');
  CAISSON_ASSERT_OK(third.ReadAt(0, AsWritable(found)));
  EXPECT_EQ(found, "second");
}

TEST_F(FileTest, EveryPathClosesTheDescriptor) {
  FaultFileSystem files;
  const std::string path = Make("abc").path();
  {
    CAISSON_ASSERT_OK_AND_ASSIGN(File file, File::OpenForRead(path, files));
    CAISSON_ASSERT_OK_AND_ASSIGN(file, File::OpenForRead(path, files));
  }
  EXPECT_THAT(File::OpenForRead(scratch_.path(), files),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(files.log(),
              testing::ElementsAre("open", "stat", "open", "stat", "close",
                                   "close", "open", "stat", "close"));
}

TEST_F(FileTest, ThreadsReadAndWriteOneFileAtOnce) {
  constexpr size_t kBytes = 4096;
  constexpr int kThreads = 8;
  File file = Make("");
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&file, t] {
      const auto bytes = RandomBytes(kBytes, static_cast<uint64_t>(t));
      CAISSON_EXPECT_OK(file.WriteAt(t * kBytes, bytes));
      std::vector<std::byte> found(kBytes);
      CAISSON_EXPECT_OK(file.ReadAt(t * kBytes, found));
      EXPECT_EQ(found, bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(file.Size(), IsOkAndHolds(kBytes * kThreads));
}

}  // namespace
}  // namespace caisson
