// SPDX-License-Identifier: Apache-2.0
#include "core/engine/codec/disk_rate.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <random>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/measure/measure_disk.h"
#include "core/engine/stopwatch.h"

namespace caisson {
namespace {

// Enough for a rate, and nothing beside a checkpoint that is worth choosing
// for.
constexpr size_t kBytes = size_t{64} << 20;
constexpr size_t kWindow = size_t{4} << 20;

Result<RawFile> Create(const std::string& directory, bool direct) {
  auto file = RawFile::Create(directory, direct);
  if (!file && direct) file = RawFile::Create(directory, /*direct=*/false);
  return file;
}

}  // namespace

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

Result<double> ProbeDiskRate(const std::string& directory, IoQueue& queue,
                             bool direct) {
  CAISSON_ASSIGN_OR_RETURN(RawFile file, Create(directory, direct));
  CAISSON_ASSIGN_OR_RETURN(const Buffer memory,
                           Buffer::Allocate(2 * queue.depth() * kWindow));
  // Bytes that no disk packs.
  std::minstd_rand random(1);
  const std::span<std::byte> bytes = memory.bytes();
  for (std::byte& byte : bytes.first(kWindow)) byte = std::byte(random() >> 8);
  for (size_t at = kWindow; at < bytes.size(); at += kWindow) {
    std::ranges::copy(bytes.first(kWindow), &bytes[at]);
  }
  const Stopwatch watch;
  CAISSON_RETURN_IF_ERROR(file.Write(queue, kBytes, kWindow, bytes));
  return static_cast<double>(kBytes) / std::max(watch.seconds(), 1e-6);
}

}  // namespace caisson
