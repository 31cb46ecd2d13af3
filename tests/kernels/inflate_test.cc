// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Bytes BytesOf(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(std::byte(value));
  return bytes;
}

Bytes BytesOf(const std::string& text) {
  Bytes bytes;
  for (const char c : text) bytes.push_back(std::byte(c));
  return bytes;
}

// A raw DEFLATE stream by zlib.
Bytes Deflated(const Bytes& bytes, int level, int strategy) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, -15, 8, strategy), Z_OK);
  Bytes result(deflateBound(&stream, bytes.size()));
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

// The type of the first block: 0 stored, 1 fixed, 2 dynamic. RFC 1951 3.2.3.
int FirstBlock(const Bytes& stream) {
  return std::to_integer<int>(stream[0]) >> 1 & 3;
}

struct Sample {
  Bytes bytes;
  Bytes stream;
};

// One of each type of block, then mixtures of several blocks.
std::vector<Sample> Samples() {
  Bytes text;
  for (int i = 0; i < 60; ++i) {
    const Bytes line = BytesOf("tensor " + std::to_string(i * i) + "\n");
    text.insert(text.end(), line.begin(), line.end());
  }
  Bytes mixed;
  for (int i = 0; i < 3; ++i) {
    const Bytes noise = RandomBytes(40'000, static_cast<uint64_t>(i));
    mixed.insert(mixed.end(), noise.begin(), noise.end());
    for (int k = 0; k < 40; ++k) {
      mixed.insert(mixed.end(), text.begin(), text.end());
    }
  }
  std::vector<Sample> samples = {
      {text, Deflated(text, 0, Z_DEFAULT_STRATEGY)},
      {text, Deflated(text, 9, Z_FIXED)},
      {text, Deflated(text, 9, Z_DEFAULT_STRATEGY)},
      {text, Deflated(text, 6, Z_HUFFMAN_ONLY)},
      {mixed, Deflated(mixed, 6, Z_DEFAULT_STRATEGY)},
      {mixed, Deflated(mixed, 0, Z_DEFAULT_STRATEGY)},
      {Bytes(100'000), Deflated(Bytes(100'000), 9, Z_RLE)},
  };
  EXPECT_EQ(FirstBlock(samples[0].stream), 0);
  EXPECT_EQ(FirstBlock(samples[1].stream), 1);
  EXPECT_EQ(FirstBlock(samples[2].stream), 2);
  return samples;
}

class InflateTest : public KernelTest {
 protected:
  Status Inflate(std::span<const std::byte> src, std::span<std::byte> dst) {
    const InflateJob job = {src, dst};
    return kernels().inflate({&job, 1}, {});
  }
};

TEST_P(InflateTest, DecodesStreamsWrittenByHand) {
  // RFC 1951 3.2.4 and 3.2.6: an empty stored block, an empty fixed one, and
  // "abc" stored.
  CAISSON_EXPECT_OK(Inflate(BytesOf({0x01, 0x00, 0x00, 0xFF, 0xFF}), {}));
  CAISSON_EXPECT_OK(Inflate(BytesOf({0x03, 0x00}), {}));
  Bytes abc(3);
  CAISSON_EXPECT_OK(
      Inflate(BytesOf({0x01, 0x03, 0x00, 0xFC, 0xFF, 'a', 'b', 'c'}), abc));
  EXPECT_EQ(abc, BytesOf("abc"));
}

TEST_P(InflateTest, DecodesEveryKindOfBlockBetweenGuards) {
  for (const Sample& sample : Samples()) {
    const GuardedBuffer source(sample.stream.size());
    const GuardedBuffer target(sample.bytes.size());
    const auto src = source.AtEnd(sample.stream.size());
    const auto dst = target.AtEnd(sample.bytes.size());
    std::copy(sample.stream.begin(), sample.stream.end(), src.begin());
    CAISSON_ASSERT_OK(Inflate(src, dst));
    EXPECT_EQ(Bytes(dst.begin(), dst.end()), sample.bytes);
  }
}

TEST_P(InflateTest, DecodesABatchAndNamesTheJobThatIsDamaged) {
  const std::vector<Sample> samples = Samples();
  std::vector<Bytes> targets;
  std::vector<InflateJob> jobs;
  for (const Sample& sample : samples) {
    targets.emplace_back(sample.bytes.size());
    jobs.push_back({sample.stream, targets.back()});
  }
  CAISSON_ASSERT_OK(kernels().inflate(jobs, {}));
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(targets[i], samples[i].bytes) << i;
  }
  CAISSON_EXPECT_OK(kernels().inflate({}, {}));

  jobs[4].src = jobs[4].src.first(100);
  EXPECT_THAT(kernels().inflate(jobs, {}),
              StatusIs(StatusCode::kCorrupt, HasSubstr("job 4")));
}

TEST_P(InflateTest, RejectsStreamsCutAtEveryByte) {
  const std::vector<Sample> samples = Samples();
  for (size_t i = 0; i < 4; ++i) {
    const Bytes& stream = samples[i].stream;
    const GuardedBuffer source(stream.size());
    Bytes target(samples[i].bytes.size());
    for (size_t bytes = 0; bytes < stream.size(); ++bytes) {
      const auto src = source.AtEnd(bytes);
      std::copy_n(stream.begin(), bytes, src.begin());
      ASSERT_THAT(Inflate(src, target), StatusIs(StatusCode::kCorrupt))
          << "sample " << i << " cut to " << bytes << " bytes";
    }
  }
  Bytes nothing;
  EXPECT_THAT(Inflate({}, nothing), StatusIs(StatusCode::kCorrupt));
}

TEST_P(InflateTest, RejectsBytesAfterTheEnd) {
  for (const Sample& sample : Samples()) {
    Bytes target(sample.bytes.size());
    Bytes stream = sample.stream;
    stream.push_back(std::byte{0});
    EXPECT_THAT(
        Inflate(stream, target),
        StatusIs(StatusCode::kCorrupt,
                 AllOf(HasSubstr("ends after " +
                                 std::to_string(sample.stream.size())),
                       HasSubstr(std::to_string(stream.size()) + " bytes"))));
  }
}

TEST_P(InflateTest, RejectsADestinationOfTheWrongSize) {
  for (const Sample& sample : Samples()) {
    const size_t bytes = sample.bytes.size();
    const GuardedBuffer memory(bytes + 1);
    for (const size_t wrong : {size_t{0}, size_t{1}, bytes - 1}) {
      EXPECT_THAT(Inflate(sample.stream, memory.AtEnd(wrong)),
                  StatusIs(StatusCode::kCorrupt,
                           HasSubstr("expected " + std::to_string(wrong))));
    }
    EXPECT_THAT(
        Inflate(sample.stream, memory.AtEnd(bytes + 1)),
        StatusIs(StatusCode::kCorrupt,
                 AllOf(HasSubstr("expected " + std::to_string(bytes + 1)),
                       HasSubstr("found " + std::to_string(bytes)))));
  }
}

// RFC 1951 3.2.3: block type 3 is an error; 3.2.4: so is a stored length
// that its complement contradicts.
TEST_P(InflateTest, RejectsWhatIsNoDeflate) {
  Bytes target(3);
  EXPECT_THAT(Inflate(BytesOf({0x07, 0x00}), target),
              StatusIs(StatusCode::kCorrupt));
  EXPECT_THAT(
      Inflate(BytesOf({0x01, 0x03, 0x00, 0xFD, 0xFF, 'a', 'b', 'c'}), target),
      StatusIs(StatusCode::kCorrupt));
}

INSTANTIATE_TEST_SUITE_P(AllTables, InflateTest,
                         testing::ValuesIn(RunnableSimdTargets()), TableName);

}  // namespace
}  // namespace caisson
