// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>

#include <vector>

#include "kernels/kernel_table.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

// Half noise, half repetition, so that every kind of block occurs.
Bytes Sample(size_t bytes) {
  Bytes sample = RandomBytes(bytes, bytes);
  for (size_t i = bytes / 2; i < bytes; ++i) sample[i] = std::byte{7};
  return sample;
}

const KernelTable& Cpu() { return **KernelsFor(Device::Cpu()); }

Bytes Deflated(const Bytes& src, int level) {
  Bytes dst(Cpu().deflate_bound(src.size()));
  size_t stored = 0;
  const DeflateJob job = {src, dst, &stored};
  EXPECT_THAT(Cpu().deflate(level, std::span(&job, 1), {}), IsOk());
  dst.resize(stored);
  return dst;
}

// zlib, as the peer that reads what we write.
Bytes InflatedByZlib(Bytes src, size_t bytes) {
  Bytes dst(bytes + 1);
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, -MAX_WBITS), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(src.data());
  stream.avail_in = static_cast<uInt>(src.size());
  stream.next_out = reinterpret_cast<Bytef*>(dst.data());
  stream.avail_out = static_cast<uInt>(dst.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  dst.resize(stream.total_out);
  inflateEnd(&stream);
  return dst;
}

TEST(Deflate, IsUndoneByInflateAndByZlib) {
  for (const size_t bytes : {0, 1, 3, 4, 100, 65535, 65536, 1 << 20}) {
    const Bytes src = Sample(bytes);
    for (const int level : {1, 6, 9, 12}) {
      const Bytes stored = Deflated(src, level);
      Bytes back(src.size());
      const InflateJob job = {stored, back};
      ASSERT_THAT(Cpu().inflate(std::span(&job, 1), {}), IsOk());
      EXPECT_EQ(back, src) << bytes << " bytes, level " << level;
      EXPECT_EQ(InflatedByZlib(stored, bytes), src) << bytes;
    }
  }
}

TEST(Deflate, RefusesADestinationThatIsTooSmall) {
  const Bytes src = RandomBytes(5000, 1);
  Bytes dst(100);
  size_t stored = 0;
  const DeflateJob job = {src, dst, &stored};
  EXPECT_THAT(Cpu().deflate(9, std::span(&job, 1), {}),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace caisson
