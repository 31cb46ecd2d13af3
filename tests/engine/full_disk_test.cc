// SPDX-License-Identifier: Apache-2.0
//
// Saves on a real file system that is full: a tmpfs of every size from the one
// that holds the old checkpoint alone to the one that holds both.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <tuple>

#include "tests/engine/crash_case.h"
#include "tests/support/fault_file_system.h"

namespace caisson {
namespace {

constexpr size_t kPage = 4096;

class FullDiskTest
    : public testing::TestWithParam<std::tuple<Saver, bool, bool>> {
 protected:
  // In a child, whose mounts nobody else sees and which vanish with it. Returns
  // "ok: ...", "skip: ..." or what was wrong.
  std::string Run() const {
    if (unshare(CLONE_NEWNS) != 0) return Skip("unshare");
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return Skip("make mounts private");
    }
    Tally tally;
    const size_t least = Pages(old_.file);
    // Half a megabyte more than both need, if it is never enough.
    const size_t most = least + Pages(new_.file) + 128;
    for (size_t pages = least; pages < most; ++pages) {
      const std::string size = "size=" + std::to_string(pages * kPage);
      const char* const disk = scratch_.path().c_str();
      if (mount("caisson", disk, "tmpfs", 0, size.c_str()) != 0) {
        return Skip("mount a tmpfs");
      }
      Put(target_, old_.file);
      FaultFileSystem files({.no_unnamed = std::get<1>(GetParam()),
                             .no_reserve = std::get<2>(GetParam())});
      const Status status =
          std::get<0>(GetParam()).save(files, new_.state, target_);
      const std::string problem = Problem(status, &tally);
      if (!problem.empty()) {
        return size + ": " + problem + "; save: " + status.ToString();
      }
      if (umount(disk) != 0) return "is a file still open? the disk is busy";
      if (status.ok()) break;
    }
    if (tally.fresh == 0) return "there was never enough space";
    std::ostringstream text;
    text << "ok: " << tally;
    return text.str();
  }

  std::string Problem(const Status& status, Tally* tally) const {
    const Left left = WhatIsLeft(target_, old_, new_);
    tally->Add(left);
    if (left != (status.ok() ? Left::kNew : Left::kOld)) return "wrong content";
    if (scratch_.Names().size() != 1) return "a temporary is left";
    if (status.ok()) return "";
    if (status.code() != StatusCode::kIo) return "the code is not kIo";
    if (status.message().find(target_) == std::string::npos) {
      return "the message does not name the file";
    }
    if (std::get<2>(GetParam()) &&
        status.message().find(": write at ") == std::string::npos) {
      return "the message does not name the write";
    }
    return "";
  }

  static size_t Pages(const std::string& file) {
    return (file.size() + kPage - 1) / kPage;
  }

  static std::string Skip(const std::string& what) {
    return "skip: cannot " + what + ": " + std::strerror(errno);
  }

  const ScratchDirectory scratch_;
  const std::string target_ = scratch_ / "model.pt";
  const Sample old_{1, 20000};
  const Sample new_{2, 100000};
};

INSTANTIATE_TEST_SUITE_P(Savers, FullDiskTest,
                         testing::Combine(testing::ValuesIn(Savers()),
                                          testing::Bool(), testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  (std::get<1>(test.param) ? "_named"
                                                           : "_unnamed") +
                                  (std::get<2>(test.param) ? "_unreserved"
                                                           : "_reserved");
                         });

TEST_P(FullDiskTest, ASaveFailsWithTheOldCheckpointInPlaceOrSucceeds) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::string said = Run();
    const ssize_t sent = write(ends[1], said.data(), said.size());
    _exit(sent == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string said(1000, '\0');
  const ssize_t got = read(ends[0], said.data(), said.size());
  close(ends[0]);
  int how = 0;
  ASSERT_EQ(waitpid(child, &how, 0), child);
  ASSERT_TRUE(WIFEXITED(how) && WEXITSTATUS(how) == 0) << how;
  said.resize(static_cast<size_t>(got));
  if (said.starts_with("skip: ")) GTEST_SKIP() << said;
  ASSERT_TRUE(said.starts_with("ok: ")) << said;
  std::cout << "full tmpfs, " << std::get<0>(GetParam()).name
            << (std::get<1>(GetParam()) ? ", named" : ", unnamed")
            << " temporary"
            << (std::get<2>(GetParam()) ? ", found out by a write" : "") << ": "
            << said.substr(4) << std::endl;
}

}  // namespace
}  // namespace caisson
