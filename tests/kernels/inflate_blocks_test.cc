// SPDX-License-Identifier: Apache-2.0
#include "kernels/inflate_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/kernel_table.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;
using testing::HasSubstr;

Bytes Sample(size_t bytes) {
  Bytes sample = RandomBytes(bytes, bytes);
  for (size_t i = bytes / 2; i < bytes; ++i) sample[i] = std::byte{7};
  return sample;
}

Bytes Deflated(const Bytes& src) {
  const KernelTable& cpu = **KernelsFor(Device::Cpu());
  Bytes dst(cpu.deflate_bound(src.size()));
  size_t stored = 0;
  const DeflateJob job = {src, dst, &stored};
  EXPECT_THAT(cpu.deflate(6, std::span(&job, 1), {}), IsOk());
  dst.resize(stored);
  return dst;
}

Status InflateInBlocks(const Bytes& src, size_t block,
                       std::span<std::byte> dst) {
  size_t at = 0;
  return InflateBlocks(
      [&]() -> Result<std::span<const std::byte>> {
        const size_t bytes = std::min(block, src.size() - at);
        const auto next = std::span(src).subspan(at, bytes);
        at += bytes;
        return std::span<const std::byte>(next);
      },
      dst);
}

class InflateBlocksTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CanInflateBlocks()) GTEST_SKIP() << "this build has no ISA-L";
  }
};

TEST_F(InflateBlocksTest, GivesEveryLengthBackInAnyBlocks) {
  for (const size_t bytes : {0, 1, 100, 65536, 1 << 20}) {
    const Bytes src = Sample(bytes);
    const Bytes stored = Deflated(src);
    for (const size_t block : {1, 7, 4096, 1 << 21}) {
      Bytes back(bytes);
      ASSERT_THAT(InflateInBlocks(stored, block, back), IsOk())
          << bytes << " in blocks of " << block;
      EXPECT_EQ(back, src);
    }
  }
}

TEST_F(InflateBlocksTest, RefusesOtherSizesAndDamage) {
  const Bytes src = Sample(50000);
  const Bytes stored = Deflated(src);
  for (const size_t block : {1, 1000, 1 << 20}) {
    Bytes small(src.size() - 1);
    EXPECT_THAT(InflateInBlocks(stored, block, small),
                StatusIs(StatusCode::kCorrupt, HasSubstr("found more")));
    Bytes large(src.size() + 1);
    EXPECT_THAT(InflateInBlocks(stored, block, large),
                StatusIs(StatusCode::kCorrupt, HasSubstr("expected 50001")));
    for (size_t cut = 0; cut < stored.size(); cut += 997) {
      const Bytes part(stored.begin(),
                       stored.begin() + static_cast<ptrdiff_t>(cut));
      Bytes back(src.size());
      EXPECT_THAT(InflateInBlocks(part, block, back),
                  StatusIs(StatusCode::kCorrupt))
          << cut;
    }
    for (const size_t junk : {1, 3, 8, 9, 5000}) {
      Bytes longer = stored;
      longer.resize(stored.size() + junk);
      Bytes back(src.size());
      EXPECT_THAT(InflateInBlocks(longer, block, back),
                  StatusIs(StatusCode::kCorrupt, HasSubstr("source does")))
          << junk << " in blocks of " << block;
    }
  }
  const Bytes noise = RandomBytes(10000, 3);
  Bytes back(10000);
  EXPECT_FALSE(InflateInBlocks(noise, 500, back).ok());
}

}  // namespace
}  // namespace caisson
