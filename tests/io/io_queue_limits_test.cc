// SPDX-License-Identifier: Apache-2.0
//
// Queues where the system forbids or limits something. Each test runs in a
// process of its own, since limits and filters stay.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/io/io_queue.h"
#include "tests/io/io_queues.h"
#include "tests/io/scratch_directory.h"

namespace caisson {
namespace {

// Ends the child: with 0 if `found` is what was expected.
[[noreturn]] void Leave(const std::string& found, const std::string& expected) {
  if (found != expected) {
    std::fprintf(stderr, "expected %s\nfound    %s\n", expected.c_str(),
                 found.c_str());
  }
  std::_Exit(found == expected ? 0 : 1);
}

void Limit(int resource, rlim_t soft) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    std::_Exit(2);
  }
  limit.rlim_cur = soft;
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    std::_Exit(2);
  }
}

// From now on `call` answers EPERM, on every thread of the process.
void Forbid(int call) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{std::size(code), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
              &program) != 0) {
    std::_Exit(2);
  }
}

// Root may pin what it likes otherwise.
void ForgoPinning() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) std::_Exit(2);
  data[0].effective &= ~(1u << CAP_IPC_LOCK);
  if (syscall(SYS_capset, &header, data) != 0) std::_Exit(2);
}

// Becomes a user of its own, with `threads` in all. Root has no limit.
void LimitThreads(rlim_t threads) {
  constexpr uid_t kNobodyElse = 54321;
  Limit(RLIMIT_NPROC, threads);
  if (setuid(kNobodyElse) != 0) std::_Exit(2);
}

class IoQueueLimitsTest : public testing::TestWithParam<QueueMaker> {
 protected:
  void SetUp() override {
    // A fork without exec, which works under QEMU too: no queue has threads
    // at that moment.
    GTEST_FLAG_SET(death_test_style, "fast");
    const auto queue = GetParam().make(1);
    if (!queue) GTEST_SKIP() << queue.error().ToString();
  }

  static std::unique_ptr<IoQueue> Make(size_t depth = 2) {
    auto queue = GetParam().make(depth);
    if (!queue) std::_Exit(2);
    return *std::move(queue);
  }

  File Create() {
    Put(scratch_ / "f", "");
    return File(open((scratch_ / "f").c_str(), O_RDWR | O_CLOEXEC), "f",
                FileSystem::Posix());
  }

  // What came of a transfer, as text.
  static IoQueue::Done Note(std::string* text) {
    return [text](const Result<size_t>& answer) {
      *text += answer ? std::to_string(*answer) : answer.error().ToString();
      *text += ";";
    };
  }

  ScratchDirectory scratch_;
};

using UringLimitsTest = IoQueueLimitsTest;

INSTANTIATE_TEST_SUITE_P(Both, IoQueueLimitsTest,
                         testing::ValuesIn(kQueueMakers),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Only, UringLimitsTest,
                         testing::Values(kQueueMakers[1]),
                         [](const auto& test) { return test.param.name; });

TEST_P(IoQueueLimitsTest, AShortWriteGoesOnAndNamesWhatWasDoneWhenItFails) {
  const auto child = [this] {
    std::signal(SIGXFSZ, SIG_IGN);
    Limit(RLIMIT_FSIZE, 6000);
    File file = Create();
    const std::vector<std::byte> bytes(10000);
    std::string found;
    auto queue = Make();
    queue->Write(file, 100, bytes, Note(&found));
    queue.reset();
    Leave(found,
          "i/o error: f: write at 100: needed 10000 bytes, 5900 done: File too "
          "large;");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(IoQueueLimitsTest, MemoryThatCannotBePinnedWorksUnregistered) {
  const auto child = [this] {
    ForgoPinning();
    Limit(RLIMIT_MEMLOCK, 64 << 10);
    File file = Create();
    std::vector<std::byte> bytes(1 << 20, std::byte{'z'});
    std::string found;
    auto queue = Make();
    found = queue->Register(bytes) ? "registered;" : "not;";
    queue->Write(file, 0, bytes, Note(&found));
    queue.reset();
    found += Content(scratch_ / "f") == std::string(1 << 20, 'z') ? "same" : "";
    Leave(found, "not;1048576;same");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(IoQueueLimitsTest, WorksWithTheThreadsThatItGets) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto child = [this] {
    File file = Create();
    LimitThreads(4);
    auto queue = Make(64);
    const size_t depth = queue->depth();
    const bool good =
        queue->name() == "threads" ? depth >= 1 && depth <= 3 : depth == 64;
    std::string found = good ? "" : std::to_string(depth) + " at once;";
    for (int i = 0; i < 10; ++i)
      queue->Write(file, 0, AsBytes("x"), [](auto) {});
    queue->Write(file, 1, AsBytes("y"), Note(&found));
    queue.reset();
    Leave(found, "1;");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(IoQueueLimitsTest, WithoutAThreadItIsUnavailableAndSaysWhy) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto child = [] {
    LimitThreads(1);
    const auto queue = GetParam().make(8);
    const std::string who =
        GetParam().make == MakeThreadQueue ? "I/O queue" : "io_uring";
    Leave(queue ? "made" : queue.error().ToString(),
          "unavailable: " + who +
              ": the system gives no thread: Resource temporarily unavailable");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(UringLimitsTest, ARingThatIsForbiddenIsUnavailableAndSaysWhy) {
  const auto child = [] {
    Forbid(SYS_io_uring_setup);
    const auto queue = MakeUringQueue(8);
    Leave(queue ? "made" : queue.error().ToString(),
          "unavailable: io_uring: the kernel refuses a ring of 8 entries: "
          "Operation not permitted");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(UringLimitsTest, AProbeThatIsForbiddenIsUnavailableAndSaysWhy) {
  const auto child = [] {
    Forbid(SYS_io_uring_register);
    const auto queue = MakeUringQueue(8);
    Leave(queue ? "made" : queue.error().ToString(),
          "unavailable: io_uring: the kernel does not say which operations it "
          "knows");
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

TEST_P(UringLimitsTest, AKernelThatCeasesToTakeTransfersFailsEachOfThem) {
  const auto child = [this] {
    File file = Create();
    std::string found;
    std::string expected;
    auto queue = Make(2);
    Forbid(SYS_io_uring_enter);
    for (int i = 0; i < 10; ++i) {
      queue->Write(file, 5, AsBytes("x"), Note(&found));
      expected +=
          "i/o error: f: write at 5: needed 1 bytes, 0 done: Operation not "
          "permitted;";
    }
    queue.reset();
    Leave(found, expected);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace caisson
