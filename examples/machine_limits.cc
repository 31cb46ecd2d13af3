// SPDX-License-Identifier: Apache-2.0
#include "examples/machine_limits.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

namespace {

constexpr size_t kBlock = size_t{8} << 20;

double RateOf(size_t bytes, const std::function<bool()>& work) {
  const auto start = std::chrono::steady_clock::now();
  if (!work()) return 0;
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - start;
  return static_cast<double>(bytes) / elapsed.count();
}

std::vector<char> RandomBlock() {
  std::mt19937_64 random(1);
  std::vector<char> block(kBlock);
  for (size_t i = 0; i < block.size(); i += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(&block[i], &word, sizeof(word));
  }
  return block;
}

}  // namespace

double CopyRate(size_t bytes) {
  std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes, 2);
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    best = std::max(best, RateOf(bytes, [&] {
                      std::memcpy(to.data(), from.data(), bytes);
                      return to[bytes / 2] == 1;
                    }));
  }
  return best;
}

double FirstTouchRate(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, bytes, MADV_HUGEPAGE);
  const double rate = RateOf(bytes, [&] {
    std::memset(memory, 1, bytes);
    return true;
  });
  munmap(memory, bytes);
  return rate;
}

DiskRates MeasureDisk(const std::string& directory, size_t bytes) {
  std::string path = directory + "/limits-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return {};
  unlink(path.c_str());
  std::vector<char> block = RandomBlock();
  const size_t total = bytes / kBlock * kBlock;
  DiskRates rates;
  rates.write = RateOf(total, [&] {
    for (size_t at = 0; at < total; at += kBlock) {
      if (pwrite(file, block.data(), kBlock, static_cast<off_t>(at)) !=
          static_cast<ssize_t>(kBlock)) {
        return false;
      }
    }
    return fsync(file) == 0;
  });
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  rates.read = RateOf(total, [&] {
    for (size_t at = 0; at < total; at += kBlock) {
      if (pread(file, block.data(), kBlock, static_cast<off_t>(at)) !=
          static_cast<ssize_t>(kBlock)) {
        return false;
      }
    }
    return true;
  });
  close(file);
  return rates;
}
