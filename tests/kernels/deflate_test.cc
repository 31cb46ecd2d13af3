// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>

#include <vector>

#include "kernels/cpu/deflate_join.h"
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

// A chunk that another may follow.
Bytes Chunk(std::span<const std::byte> src, int level) {
  Bytes dst(Cpu().deflate_bound(src.size()));
  size_t stored = 0;
  const DeflateJob job = {src, dst, &stored, /*ends=*/false};
  EXPECT_THAT(Cpu().deflate(level, std::span(&job, 1), {}), IsOk());
  dst.resize(stored);
  return dst;
}

// The same by libdeflate and OpenStream().
Bytes OpenedChunk(const Bytes& src, int level) {
  Bytes dst = Deflated(src, level);
  const size_t bytes = dst.size();
  dst.resize(bytes + cpu::kOpenBytes);
  const size_t opened = cpu::OpenStream(dst, bytes);
  EXPECT_GT(opened, bytes);
  dst.resize(opened);
  return dst;
}

Bytes InflatedChunk(const Bytes& stored, size_t bytes) {
  Bytes back(bytes);
  const InflateJob job = {stored, back, /*ends=*/false};
  EXPECT_THAT(Cpu().inflate(std::span(&job, 1), {}), IsOk());
  return back;
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

TEST(Deflate, ChunksJoinIntoOneStream) {
  for (const int level : {1, 2, 6, 12}) {
    for (const bool opened : {false, true}) {
      Bytes all;
      Bytes stream;
      for (const size_t bytes : {1, 2, 3, 100, 4096, 70000, 300000}) {
        const Bytes src = Sample(bytes);
        const Bytes chunk =
            opened ? OpenedChunk(src, level) : Chunk(src, level);
        EXPECT_EQ(InflatedChunk(chunk, bytes), src) << bytes;
        all.insert(all.end(), src.begin(), src.end());
        stream.insert(stream.end(), chunk.begin(), chunk.end());
      }
      const Bytes end = Deflated(Sample(5000), level);
      const Bytes last = Sample(5000);
      all.insert(all.end(), last.begin(), last.end());
      stream.insert(stream.end(), end.begin(), end.end());
      EXPECT_EQ(InflatedByZlib(stream, all.size()), all) << level;
      Bytes back(all.size());
      const InflateJob job = {stream, back};
      ASSERT_THAT(Cpu().inflate(std::span(&job, 1), {}), IsOk());
      EXPECT_EQ(back, all);
    }
  }
}

TEST(Deflate, OpensStreamsThatEndAtEveryBit) {
  Bytes all;
  Bytes stream;
  for (size_t bytes = 1; bytes < 400; ++bytes) {
    Bytes src(bytes);
    for (size_t i = 0; i < bytes; ++i) src[i] = std::byte(i * i % 7);
    const Bytes chunk = OpenedChunk(src, 1 + static_cast<int>(bytes % 12));
    all.insert(all.end(), src.begin(), src.end());
    stream.insert(stream.end(), chunk.begin(), chunk.end());
  }
  const Bytes end = Deflated({}, 1);
  stream.insert(stream.end(), end.begin(), end.end());
  EXPECT_EQ(InflatedByZlib(stream, all.size()), all);
}

TEST(Deflate, AChunkThatDoesNotCompressFitsTheBound) {
  const Bytes src = RandomBytes(1 << 20, 5);
  const Bytes chunk = Chunk(src, 1);
  EXPECT_LE(chunk.size(), Cpu().deflate_bound(src.size()));
  EXPECT_LT(chunk.size(), src.size() + src.size() / 100);
}

TEST(Deflate, DamagedChunksAreTold) {
  const Bytes src = Sample(5000);
  const Bytes chunk = Chunk(src, 1);
  Bytes back(src.size());
  for (size_t cut : {size_t{0}, size_t{1}, chunk.size() - 5}) {
    const InflateJob job = {std::span(chunk).first(cut), back, false};
    EXPECT_THAT(Cpu().inflate(std::span(&job, 1), {}),
                StatusIs(StatusCode::kCorrupt))
        << cut;
  }
  const InflateJob too_small = {chunk, std::span(back).first(4999), false};
  EXPECT_THAT(Cpu().inflate(std::span(&too_small, 1), {}),
              StatusIs(StatusCode::kCorrupt));
}

TEST(Deflate, OpenStreamRefusesWhatIsNone) {
  Bytes noise(64, std::byte{0xff});
  EXPECT_EQ(cpu::OpenStream(noise, 50), 0u);
  Bytes cut = Deflated(Sample(5000), 6);
  EXPECT_EQ(cpu::OpenStream(cut, cut.size() / 2), 0u);
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
