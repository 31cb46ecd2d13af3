// SPDX-License-Identifier: Apache-2.0
//
// Both queues against one contract.
#include "core/io/io_queue.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/buffer.h"
#include "tests/io/io_queues.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::HasSubstr;

constexpr size_t kDepth = 4;

class IoQueueTest : public testing::TestWithParam<QueueMaker> {
 protected:
  void SetUp() override {
    auto queue = GetParam().make(kDepth);
    if (!queue) GTEST_SKIP() << queue.error().ToString();
    queue_ = *std::move(queue);
  }

  // Waits until the queue has done all.
  void Drain() { queue_.reset(); }

  File Create(FileSystem& files = FileSystem::Posix()) {
    const std::string path = scratch_ / ("f" + std::to_string(made_++));
    Put(path, "");
    return File(open(path.c_str(), O_RDWR | O_CLOEXEC), path, files);
  }

  // The answers, once the queue is drained.
  std::vector<Result<size_t>> answers_;
  IoQueue::Done Note() {
    return [this](Result<size_t> answer) {
      const std::lock_guard hold(lock_);
      answers_.push_back(std::move(answer));
    };
  }

  ScratchDirectory scratch_;
  std::unique_ptr<IoQueue> queue_;

 private:
  int made_ = 0;
  std::mutex lock_;
};

INSTANTIATE_TEST_SUITE_P(Both, IoQueueTest, testing::ValuesIn(kQueueMakers),
                         [](const auto& test) { return test.param.name; });

TEST_P(IoQueueTest, SaysWhatItIs) {
  EXPECT_EQ(queue_->name(), GetParam().name);
  EXPECT_EQ(queue_->depth(), kDepth);
}

TEST_P(IoQueueTest, ManyThreadsGetBackWhatTheyWroteAtOddPlaces) {
  constexpr size_t kThreads = 4;
  constexpr size_t kTransfers = 600;  // of each thread
  constexpr size_t kBytes = 5000;     // of each transfer, about
  File file = Create();
  const auto bytes = RandomBytes(kThreads * kTransfers * kBytes, 1);
  const std::span all(bytes);
  // Pieces of odd sizes, one behind the other.
  const auto piece = [&](size_t n) {
    const auto begin = [](size_t k) { return k * kBytes - k * 7919 % 1000; };
    return std::pair(begin(n), begin(n + 1) - begin(n));
  };
  const auto run = [&](const auto& transfer) {
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::counting_semaphore<> done(0);
        for (size_t i = 0; i < kTransfers; ++i) {
          const auto [begin, size] = piece(i * kThreads + t);
          transfer(begin, size,
                   [&done, wanted = size](const Result<size_t>& answer) {
                     EXPECT_THAT(answer, IsOkAndHolds(wanted));
                     done.release();
                   });
        }
        for (size_t i = 0; i < kTransfers; ++i) done.acquire();
      });
    }
    for (std::thread& thread : threads) thread.join();
  };

  run([&](size_t begin, size_t size, IoQueue::Done done) {
    queue_->Write(file, begin, all.subspan(begin, size), std::move(done));
  });
  const size_t total = piece(kThreads * kTransfers).first;
  EXPECT_THAT(file.Size(), IsOkAndHolds(total));
  std::vector<std::byte> found(total);
  run([&](size_t begin, size_t size, IoQueue::Done done) {
    queue_->Read(file, begin, std::span(found).subspan(begin, size),
                 std::move(done));
  });
  Drain();
  EXPECT_TRUE(std::ranges::equal(found, all.first(total)));
}

TEST_P(IoQueueTest, TransfersInAnyOrderGiveTheSameFile) {
  constexpr size_t kBlock = 3001;
  constexpr size_t kBlocks = 101;
  const auto bytes = RandomBytes(kBlock * kBlocks, 2);
  File file = Create();
  for (size_t i = 0; i < kBlocks; ++i) {
    const size_t at = i * 37 % kBlocks * kBlock;  // 37 and 101 are coprime
    queue_->Write(file, at, std::span(bytes).subspan(at, kBlock), Note());
  }
  Drain();
  EXPECT_EQ(answers_.size(), kBlocks);
  for (const auto& answer : answers_) EXPECT_THAT(answer, IsOkAndHolds(kBlock));
  std::vector<std::byte> found(bytes.size());
  CAISSON_ASSERT_OK(file.ReadAt(0, found));
  EXPECT_EQ(found, bytes);
}

TEST_P(IoQueueTest, GoesPastThePageCacheWithAlignedMemory) {
  constexpr size_t kBlock = 64 * kDirectAlignment;
  constexpr size_t kBlocks = 16;
  File file = Create();
  CAISSON_ASSERT_OK_AND_ASSIGN(const Buffer buffer,
                               Buffer::Allocate(kBlock * kBlocks));
  const std::span memory = buffer.bytes();
  if (!file.SetDirect(true) ||
      !file.WriteAt(0, memory.first(kDirectAlignment)).ok()) {
    GTEST_SKIP() << "no direct I/O on " << scratch_.path();
  }
  FillRandom(memory, 3);
  const std::vector<std::byte> wanted(memory.begin(), memory.end());
  queue_->Register(memory);
  std::counting_semaphore<> done(0);
  const auto count = [&](const Result<size_t>& answer) {
    EXPECT_THAT(answer, IsOkAndHolds(kBlock));
    done.release();
  };
  const auto wait = [&] {
    for (size_t i = 0; i < kBlocks; ++i) done.acquire();
  };
  for (size_t i = 0; i < kBlocks; ++i) {
    queue_->Write(file, i * kBlock, memory.subspan(i * kBlock, kBlock), count);
  }
  wait();
  std::fill(memory.begin(), memory.end(), std::byte{0});
  for (size_t i = 0; i < kBlocks; ++i) {
    queue_->Read(file, i * kBlock, memory.subspan(i * kBlock, kBlock), count);
  }
  wait();
  // The last block, longer than what is left of the file.
  CAISSON_ASSERT_OK(file.Truncate(kBlock * kBlocks - 1000));
  queue_->Read(file, kBlock * (kBlocks - 1),
               memory.subspan(kBlock * (kBlocks - 1)), Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0], IsOkAndHolds(kBlock - 1000));
  // Past the end of the file the device's block fills the memory with zeros.
  const size_t left = memory.size() - 1000;
  EXPECT_TRUE(
      std::ranges::equal(memory.first(left), std::span(wanted).first(left)));
}

TEST_P(IoQueueTest, ReadsEndWhereTheFileEnds) {
  File file = Create();
  CAISSON_ASSERT_OK(file.WriteAt(0, AsBytes("0123456789")));
  const auto read = [&](uint64_t offset, std::string& dst) {
    std::binary_semaphore done(0);
    Result<size_t> found = size_t{0};
    queue_->Read(file, offset, AsWritable(dst), [&](Result<size_t> answer) {
      found = std::move(answer);
      done.release();
    });
    done.acquire();
    return found;
  };
  std::string dst(4, '?');
  EXPECT_THAT(read(3, dst), IsOkAndHolds(4u));
  EXPECT_EQ(dst, "3456");
  EXPECT_THAT(read(8, dst), IsOkAndHolds(2u));
  EXPECT_EQ(dst, "8956");
  for (const uint64_t offset :
       {uint64_t{10}, uint64_t{99}, uint64_t{1} << 62,
        uint64_t{std::numeric_limits<int64_t>::max()} - 2,
        uint64_t{std::numeric_limits<int64_t>::max()}, uint64_t{1} << 63,
        std::numeric_limits<uint64_t>::max()}) {
    EXPECT_THAT(read(offset, dst), IsOkAndHolds(0u)) << offset;
  }
  std::string nothing;
  EXPECT_THAT(read(0, nothing), IsOkAndHolds(0u));
}

TEST_P(IoQueueTest, WritesOfNothingSucceed) {
  File file = Create();
  queue_->Write(file, 5, {}, Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0], IsOkAndHolds(0u));
  EXPECT_THAT(file.Size(), IsOkAndHolds(0u));
}

TEST_P(IoQueueTest, RefusesToWriteWhereNoFileCanReach) {
  File file = Create();
  queue_->Write(file, uint64_t{1} << 63, AsBytes("xyz"), Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0],
              StatusIs(StatusCode::kInvalidArgument,
                       file.path() +
                           ": write at 9223372036854775808: needed 3 bytes, 0 "
                           "done: no file can be so large"));
}

TEST_P(IoQueueTest, AFailedTransferNamesFileOffsetAndReason) {
  const std::string path = Create().path();
  File reading(open(path.c_str(), O_RDONLY | O_CLOEXEC), path,
               FileSystem::Posix());
  queue_->Write(reading, 4096, AsBytes("0123456789"), Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(
      answers_[0],
      StatusIs(StatusCode::kIo,
               path + ": write at 4096: needed 10 bytes, 0 done: Bad file "
                      "descriptor"));
}

TEST_P(IoQueueTest, AFailedReadNamesFileOffsetAndReason) {
  const std::string path = Create().path();
  const File writing(open(path.c_str(), O_WRONLY | O_CLOEXEC), path,
                     FileSystem::Posix());
  std::string dst(7, '?');
  queue_->Read(writing, 3, AsWritable(dst), Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0],
              StatusIs(StatusCode::kIo,
                       path + ": read at 3: needed 7 bytes, 0 done: Bad file "
                              "descriptor"));
}

TEST_P(IoQueueTest, ARealFullDeviceIsAnIoError) {
  const int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no /dev/full on this machine";
  File file(fd, "/dev/full", FileSystem::Posix());
  queue_->Write(file, 0, AsBytes("x"), Note());
  Drain();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0],
              StatusIs(StatusCode::kIo, HasSubstr("No space left on device")));
}

TEST_P(IoQueueTest, MovesMoreThanTheKernelTakesInOneCall) {
  constexpr size_t kBytes = (size_t{5} << 30) + 123;
  // Never touched, so that it costs no memory.
  void* const memory = mmap(nullptr, kBytes, PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no 5 GiB of addresses";
  File file(open("/dev/null", O_WRONLY | O_CLOEXEC), "/dev/null",
            FileSystem::Posix());
  queue_->Write(file, 0, {static_cast<const std::byte*>(memory), kBytes},
                Note());
  Drain();
  munmap(memory, kBytes);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_[0], IsOkAndHolds(kBytes));
}

TEST_P(IoQueueTest, OneFailureLeavesTheOthersAlone) {
  File file = Create();
  File reading(open(file.path().c_str(), O_RDONLY | O_CLOEXEC), file.path(),
               FileSystem::Posix());
  const auto bytes = RandomBytes(100, 4);
  for (size_t i = 0; i < 100; ++i) {
    queue_->Write(i % 3 == 0 ? reading : file, i,
                  std::span(bytes).subspan(i, 1), Note());
  }
  Drain();
  EXPECT_EQ(answers_.size(), 100u);
  EXPECT_EQ(std::ranges::count_if(answers_,
                                  [](const auto& a) { return !a.has_value(); }),
            34);
  EXPECT_THAT(file.Size(), IsOkAndHolds(99u));
}

TEST_P(IoQueueTest, ItsEndWaitsForEveryTransfer) {
  constexpr size_t kTransfers = 10 * kDepth;
  File file = Create();
  std::atomic<size_t> done = 0;
  for (size_t i = 0; i < kTransfers; ++i) {
    queue_->Write(file, i, AsBytes("x"), [&](const Result<size_t>&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++done;
    });
  }
  Drain();
  EXPECT_EQ(done, kTransfers);
  EXPECT_EQ(Content(file.path()), std::string(kTransfers, 'x'));
}

TEST_P(IoQueueTest, ADoneMaySubmitAgainEvenWhileTheQueueEnds) {
  constexpr int kChain = 200;
  File file = Create();
  IoQueue* const queue = queue_.get();
  std::atomic<int> left = kChain;
  std::function<void(Result<size_t>)> next = [&](const Result<size_t>& answer) {
    EXPECT_THAT(answer, IsOkAndHolds(1u));
    const int n = --left;
    if (n >= 0)
      queue->Write(file, static_cast<uint64_t>(n), AsBytes("y"), next);
  };
  for (size_t i = 0; i < 2 * kDepth; ++i) {
    queue->Write(file, kChain, AsBytes("y"), next);
  }
  Drain();
  EXPECT_EQ(Content(file.path()), std::string(kChain + 1, 'y'));
}

TEST_P(IoQueueTest, TransfersStandInLineInOrder) {
  File file = Create();
  CAISSON_ASSERT_OK_AND_ASSIGN(queue_, GetParam().make(1));
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    queue_->Write(file, 0, AsBytes(i % 2 == 0 ? "x" : ""),
                  [&, i](const Result<size_t>&) { order.push_back(i); });
  }
  Drain();
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_P(IoQueueTest, AThreadMayEndBeforeItsTransfersDo) {
  constexpr size_t kBlock = 1 << 20;
  constexpr size_t kBlocks = 32;
  File file = Create();
  const auto bytes = RandomBytes(kBlock * kBlocks, 5);
  std::thread([&] {
    for (size_t i = 0; i < kBlocks; ++i) {
      queue_->Write(file, i * kBlock,
                    std::span(bytes).subspan(i * kBlock, kBlock), Note());
    }
  }).join();
  Drain();
  EXPECT_EQ(answers_.size(), kBlocks);
  for (const auto& answer : answers_) EXPECT_THAT(answer, IsOkAndHolds(kBlock));
  std::vector<std::byte> found(bytes.size());
  CAISSON_ASSERT_OK(file.ReadAt(0, found));
  EXPECT_EQ(found, bytes);
}

TEST_P(IoQueueTest, RegisteredMemoryAndOtherWorkTheSame) {
  constexpr size_t kBytes = 1 << 16;
  auto bytes = RandomBytes(2 * kBytes, 6);
  const std::span all(bytes);
  queue_->Register(all.first(kBytes));
  EXPECT_FALSE(queue_->Register(all.last(kBytes)));
  File file = Create();
  // Inside, across the end, outside.
  for (const size_t at : {size_t{0}, kBytes - 50, 2 * kBytes - 100}) {
    queue_->Write(file, at, all.subspan(at, 100), Note());
  }
  Drain();
  EXPECT_EQ(answers_.size(), 3u);
  for (const auto& answer : answers_) EXPECT_THAT(answer, IsOkAndHolds(100u));
  std::vector<std::byte> found(100);
  for (const size_t at : {size_t{0}, kBytes - 50, 2 * kBytes - 100}) {
    CAISSON_ASSERT_OK(file.ReadAt(at, found));
    EXPECT_TRUE(std::ranges::equal(found, all.subspan(at, 100))) << at;
  }
}

// What File absorbs and says, the queue of threads does too: it goes through
// the FileSystem of the File.
class ThreadQueueTest : public testing::Test {
 protected:
  // One transfer of each kind: first the write, then the read.
  std::pair<Result<size_t>, Result<size_t>> Run(FileSystem& files,
                                                std::span<const std::byte> src,
                                                std::span<std::byte> dst) {
    const std::string path = scratch_ / "f";
    Put(path, "");
    File file(open(path.c_str(), O_RDWR | O_CLOEXEC), path, files);
    std::pair<Result<size_t>, Result<size_t>> answers(size_t{0}, size_t{0});
    auto queue = MakeThreadQueue(1);  // one after the other
    EXPECT_THAT(queue, IsOk());
    (*queue)->Write(file, 7, src, [&](Result<size_t> answer) {
      answers.first = std::move(answer);
    });
    (*queue)->Read(file, 7, dst, [&](Result<size_t> answer) {
      answers.second = std::move(answer);
    });
    queue->reset();
    return answers;
  }

  ScratchDirectory scratch_;
};

TEST_F(ThreadQueueTest, AbsorbsShortTransfers) {
  const auto bytes = RandomBytes(1000, 7);
  std::vector<std::byte> found(bytes.size());
  FaultFileSystem files({.fault = Fault::kShort, .and_after = true});
  const auto [written, read] = Run(files, bytes, found);
  EXPECT_THAT(written, IsOkAndHolds(bytes.size()));
  EXPECT_THAT(read, IsOkAndHolds(bytes.size()));
  EXPECT_EQ(found, bytes);
  EXPECT_EQ(std::ranges::count(files.log(), "write"), 10);
  EXPECT_EQ(std::ranges::count(files.log(), "read"), 10);
}

TEST_F(ThreadQueueTest, AFullDiskNamesFileOffsetAndBytes) {
  std::string found(10, '?');
  FaultFileSystem files(
      {.fault = Fault::kError, .only = "write", .error = ENOSPC});
  const auto [written, read] =
      Run(files, AsBytes("0123456789"), AsWritable(found));
  EXPECT_THAT(written,
              StatusIs(StatusCode::kIo,
                       scratch_ / "f" +
                           std::string(": write at 7: needed 10 bytes, 0 done: "
                                       "No space left on device")));
  EXPECT_THAT(read, IsOkAndHolds(0u));
}

}  // namespace
}  // namespace caisson
