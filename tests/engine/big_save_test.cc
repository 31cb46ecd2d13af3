// SPDX-License-Identifier: Apache-2.0
//
// A save of 20 GB that is read back: memory stays at the pool, whatever the
// size of the checkpoint.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "caisson/engine.h"
#include "tests/engine/huge_file.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kTensorBytes = 2'500'000'000;
constexpr int kTensors = 8;
constexpr uint64_t kStateBytes = kTensors * kTensorBytes;

// A line of /proc/self/status in bytes: "VmHWM" is the most memory that was
// ever resident, "VmRSS" what is now.
uint64_t ProcessBytes(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name + ":")) continue;
    return std::stoull(line.substr(name.size() + 1)) * 1024;  // "  123 kB"
  }
  ADD_FAILURE() << "/proc/self/status says nothing of " << name;
  return 0;
}

// Bytes of the disk that the file takes.
uint64_t StoredBytes(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return 0;
  return static_cast<uint64_t>(found.st_blocks) * 512;
}

TEST(BigSave, MemoryStaysAtThePoolFor20GigabytesSavedAndVerified) {
  const ScratchDirectory scratch;
  std::error_code error;
  const auto space = std::filesystem::space(scratch.path(), error);
  if (error || space.available < kStateBytes + 1024 * kMiB) {
    GTEST_SKIP() << scratch.path() << " has no room for " << kStateBytes
                 << " bytes and a gigabyte";
  }
  State state;
  for (int i = 0; i < kTensors; ++i) {
    // Read only, so that no page of it becomes resident.
    const auto tensor = ZeroTensor(kTensorBytes);
    ASSERT_THAT(tensor.status(), IsOk());
    state["zeros" + std::to_string(i)] = *tensor;
  }
  const EngineOptions options;
  auto engine = Engine::Create(options);
  ASSERT_THAT(engine.status(), IsOk());
  const uint64_t before = ProcessBytes("VmRSS");
  const uint64_t limit = before + options.pool_bytes + 64 * kMiB;

  const std::string path = scratch / "big.pt";
  const auto saved = engine->Save(state, path);
  ASSERT_THAT(saved.status(), IsOk());
  const uint64_t save_peak = ProcessBytes("VmHWM");
  EXPECT_LE(save_peak, limit);
  EXPECT_EQ(saved->tensor_bytes, kStateBytes);
  EXPECT_GE(StoredBytes(path), kStateBytes) << "holes prove nothing";

  const auto report = engine->Verify(path);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_TRUE(report->ok());
  const uint64_t verify_peak = ProcessBytes("VmHWM");
  EXPECT_LE(verify_peak, limit);
  std::printf(
      "%llu bytes saved in %.1f s (%s); resident before %.1f MiB, at most "
      "%.1f MiB more while saving, %.1f MiB more after verifying; the pool has "
      "%.0f MiB\n",
      static_cast<unsigned long long>(saved->file_bytes), saved->seconds,
      saved->io.c_str(), static_cast<double>(before) / kMiB,
      static_cast<double>(save_peak - before) / kMiB,
      static_cast<double>(verify_peak - before) / kMiB,
      static_cast<double>(options.pool_bytes) / kMiB);
}

}  // namespace
}  // namespace caisson
