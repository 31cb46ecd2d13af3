// SPDX-License-Identifier: Apache-2.0
//
// The CRC of the CUDA column, lane by lane on the host, at every length of up
// to 5000 bytes and some of up to 10 MB, at every alignment.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "caisson/crc32.h"
#include "tests/support/cuda_lanes.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

constexpr size_t kAlignments = 128;  // after which the grid repeats

// Of `bytes`, with or without a copy of them.
void ExpectCrc(std::span<const std::byte> bytes, std::byte* dst) {
  uint32_t crc = 1;
  Job job;
  job.src = bytes.data();
  job.dst = dst;
  job.elems = bytes.size();
  job.crc = &crc;
  CAISSON_ASSERT_OK(CudaLanes().transform({}, std::span(&job, 1), {}, {}));
  ASSERT_EQ(crc, Crc32(0, bytes)) << bytes.size() << " bytes";
  if (dst == nullptr) return;
  ASSERT_TRUE(std::ranges::equal(bytes, std::span(dst, bytes.size())));
}

TEST(Crc32Lanes, IsTheHostsAtEveryLength) {
  const auto bytes = RandomBytes(5000 + kAlignments, 1);
  std::vector<std::byte> copy(5000 + kAlignments);
  for (size_t length = 0; length <= 5000; ++length) {
    const size_t at = length * 7 % kAlignments;
    ExpectCrc(std::span(bytes).subspan(at, length),
              length % 2 == 0 ? nullptr : &copy[length * 3 % kAlignments]);
    if (HasFatalFailure()) return;
  }
}

TEST(Crc32Lanes, IsTheHostsOfLargeOnes) {
  constexpr size_t kMost = 10'000'000;
  const auto bytes = RandomBytes(kMost + kAlignments, 2);
  std::mt19937 random(3);
  for (int i = 0; i < 12; ++i) {
    const size_t length = i == 0 ? kMost : random() % kMost;
    ExpectCrc(std::span(bytes).subspan(random() % kAlignments, length),
              nullptr);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace caisson
