// SPDX-License-Identifier: Apache-2.0
//
// Damaged chunks: every table finds each fault, and the one that the plain
// coder finds, and leaves all memory alone that is not the chunk's.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/plane/coded_part.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_tables.h"
#include "tests/support/plane_chunks.h"
#include "tests/support/plane_data.h"

namespace caisson {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kElems = 5001;  // the last superblock has filler

EncodedChunk Made(PlaneType type, PlaneData data, uint32_t elems) {
  return EncodeChunk(nullptr, MakePlaneData(type, data, elems, 7), type);
}

class PlaneDamageTest : public KernelTest {
 protected:
  // What the table finds, with nothing behind source and destination.
  PlaneFault Fault(const PlaneChunk& chunk, const Bytes& bytes) {
    const auto src = source_.AtEnd(bytes.size());
    std::ranges::copy(bytes, src.begin());
    const size_t room = IsSound(chunk) ? ElemBytes(chunk) : 0;
    return DecodeChunk(&kernels(), chunk, src, target_.AtEnd(room));
  }

 private:
  const GuardedBuffer source_{size_t{1} << 20};
  const GuardedBuffer target_{size_t{1} << 20};
};

TEST_P(PlaneDamageTest, NamesEveryFieldOfAChunkThatIsWrong) {
  const EncodedChunk good =
      Made(PlaneType::kBFloat16, PlaneData::kNormal, kElems);
  ASSERT_EQ(Fault(good.chunk, good.bytes), PlaneFault::kNone);
  const std::function<void(PlaneChunk&)> kEdits[] = {
      [](PlaneChunk& chunk) { chunk.mode = static_cast<PlaneMode>(3); },
      [](PlaneChunk& chunk) { chunk.mode = PlaneMode::kRaw; },
      [](PlaneChunk& chunk) { chunk.mode = PlaneMode::kConst; },
      [](PlaneChunk& chunk) { chunk.flags = kPlaneRow0Const; },
      [](PlaneChunk& chunk) { chunk.flags = kPlaneHeadConst; },
      [](PlaneChunk& chunk) { chunk.type = static_cast<PlaneType>(10); },
      [](PlaneChunk& chunk) { chunk.type = PlaneType::kFloat16; },
      [](PlaneChunk& chunk) { chunk.shift = 3; },
      [](PlaneChunk& chunk) { chunk.elems = 0; },
      [](PlaneChunk& chunk) { chunk.elems = 65537; },
      [](PlaneChunk& chunk) { chunk.elems = 4000; },
      [](PlaneChunk& chunk) { chunk.raw_bytes += 64; },
      [](PlaneChunk& chunk) { chunk.coded_bytes += 8; },
      [](PlaneChunk& chunk) { chunk.coded_bytes = 112; },
      [](PlaneChunk& chunk) { chunk.coded_bytes = 1 << 16; },
  };
  for (size_t i = 0; i < std::size(kEdits); ++i) {
    PlaneChunk chunk = good.chunk;
    kEdits[i](chunk);
    EXPECT_EQ(Fault(chunk, good.bytes), PlaneFault::kFields) << "edit " << i;
  }
  PlaneChunk chunk = good.chunk;
  chunk.crc32 ^= 1;
  EXPECT_EQ(Fault(chunk, good.bytes), PlaneFault::kCrc);
  chunk = good.chunk;
  chunk.elems += 1;  // one filler more is an element
  EXPECT_EQ(Fault(chunk, good.bytes), PlaneFault::kCrc);
  chunk = good.chunk;
  chunk.coded_bytes -= 16;
  Bytes shorter(good.bytes.begin(), good.bytes.end() - 16);
  EXPECT_EQ(Fault(chunk, shorter), PlaneFault::kSegments);
}

TEST_P(PlaneDamageTest, NamesEveryByteOfTheCodedPartThatIsWrong) {
  using namespace plane;
  const EncodedChunk good =
      Made(PlaneType::kBFloat16, PlaneData::kNormal, kElems);
  const size_t coded = good.chunk.raw_bytes;
  CodedHead head;
  ASSERT_EQ(ParseHead(reinterpret_cast<const uint8_t*>(&good.bytes[coded]),
                      good.chunk, &head),
            PlaneFault::kNone);
  const Segment& segment = head.segments[0];
  ASSERT_GT(segment.escapes, 0u);
  ASSERT_GT(segment.bytes(), segment.used());
  const size_t stream = coded + segment.offset + kStateBytes;
  const struct {
    size_t at;
    int add;
    PlaneFault fault;
  } kEdits[] = {
      {coded + kSymbolsAt, 1, PlaneFault::kTable},       // equal to the next
      {coded + kSymbolsAt + 30, 1, PlaneFault::kTable},  // of an unused row
      {coded + kSymbolsAt + kEscape, 1, PlaneFault::kTable},
      {coded + kFreqsAt, 1, PlaneFault::kTable},       // the sum
      {coded + kFreqsAt + 30, 1, PlaneFault::kTable},  // after the last row
      {coded + kFreqsAt + kEscape, -head.model.freqs[kEscape],
       PlaneFault::kTable},
      {coded + kRowConstsAt, 1, PlaneFault::kTable},
      {coded + kRowConstsAt + 5, 1, PlaneFault::kTable},
      {coded + kHeadConstAt, 1, PlaneFault::kTable},
      {coded + kTurnAt, 1, PlaneFault::kTable},
      {coded + kReservedAt, 1, PlaneFault::kTable},
      {coded + kPlaneHeaderBytes - 1, 1, PlaneFault::kTable},
      {coded + kSegmentsAt, 64, PlaneFault::kSegments},
      {coded + kSegmentsAt + 2, 64, PlaneFault::kSegments},
      {coded + kSegmentsAt + 4, 1, PlaneFault::kSegments},  // of no segment
      {coded + kSegmentsAt, 1, PlaneFault::kStream},
      {coded + kSegmentsAt, -1, PlaneFault::kStream},
      {coded + kSegmentsAt + 2, -1, PlaneFault::kStream},
      {stream + segment.stream, 1, PlaneFault::kCrc},  // an escape's symbol
      {coded + segment.offset + segment.used(), 1, PlaneFault::kFiller},
      {coded - 1, 1, PlaneFault::kFiller},  // a mantissa of the filler
      {0, 1, PlaneFault::kCrc},             // and of an element
  };
  for (const auto& edit : kEdits) {
    Bytes bytes = good.bytes;
    bytes[edit.at] =
        static_cast<std::byte>(static_cast<int>(bytes[edit.at]) + edit.add);
    EXPECT_EQ(Fault(good.chunk, bytes), edit.fault)
        << "byte " << edit.at - coded << " of the coded part";
  }
}

TEST_P(PlaneDamageTest, RefusesWhatItsTypeDoesNotHave) {
  // A symbol that a float16 has no bits for, a rotation of as many bytes as an
  // integer has, and a sign that is neither.
  EncodedChunk half = Made(PlaneType::kFloat16, PlaneData::kNormal, 4096);
  const size_t coded = half.chunk.raw_bytes;
  size_t last = 0;
  while (half.bytes[coded + plane::kFreqsAt + last + 1] != std::byte{0}) ++last;
  half.bytes[coded + plane::kSymbolsAt + last] = std::byte{32};
  EXPECT_EQ(Fault(half.chunk, half.bytes), PlaneFault::kTable);

  // The same of an escape.
  EncodedChunk late = Made(PlaneType::kFloat8E5M2, PlaneData::kLateNoise, 4096);
  const size_t segment = late.chunk.raw_bytes + kPlaneHeaderBytes;
  const auto at = [&](size_t i) { return static_cast<size_t>(late.bytes[i]); };
  const size_t table = late.chunk.raw_bytes + plane::kSegmentsAt;
  ASSERT_GT(at(table + 2) + at(table + 3), 0u);
  const size_t stream = at(table) | at(table + 1) << 8;
  late.bytes[segment + plane::kStateBytes + stream] |= std::byte{64};
  EXPECT_EQ(Fault(late.chunk, late.bytes), PlaneFault::kStream);

  EncodedChunk ints = Made(PlaneType::kInt64, PlaneData::kSmall, 4096);
  ASSERT_EQ(ints.chunk.mode, PlaneMode::kR16);
  ints.bytes[ints.chunk.raw_bytes + plane::kTurnAt] = std::byte{8};
  EXPECT_EQ(Fault(ints.chunk, ints.bytes), PlaneFault::kTable);

  EncodedChunk positive = Made(PlaneType::kFloat32, PlaneData::kPositive, 4096);
  ASSERT_EQ(positive.chunk.flags, kPlaneHeadConst);
  positive.bytes[positive.chunk.raw_bytes + plane::kHeadConstAt] = std::byte{2};
  EXPECT_EQ(Fault(positive.chunk, positive.bytes), PlaneFault::kTable);
}

TEST_P(PlaneDamageTest, ChecksTheZerosBehindRawAndConstantChunks) {
  for (const PlaneData data : {PlaneData::kNoise, PlaneData::kConstant}) {
    EncodedChunk chunk = Made(PlaneType::kBFloat16, data, 1001);
    ASSERT_EQ(Fault(chunk.chunk, chunk.bytes), PlaneFault::kNone);
    chunk.bytes.back() = std::byte{1};
    EXPECT_EQ(Fault(chunk.chunk, chunk.bytes), PlaneFault::kFiller);
    chunk.bytes.back() = std::byte{0};
    chunk.bytes[0] ^= std::byte{1};
    EXPECT_EQ(Fault(chunk.chunk, chunk.bytes), PlaneFault::kCrc);
  }
}

// One to four bits or bytes, anywhere; of the index entry too.
TEST_P(PlaneDamageTest, FindsAnyDamageAndTheSameAsThePlainCoder) {
  std::mt19937 random(1);
  Bytes plain_elems;
  for (int i = 0; i < 4000; ++i) {
    const auto type = static_cast<PlaneType>(i % kPlaneTypes);
    const auto data = static_cast<PlaneData>(i / 10 % kPlaneDataKinds);
    EncodedChunk chunk =
        Made(type, data, i % 3 == 0 ? 4096 : 4097 + random() % 20000);
    const EncodedChunk before = chunk;
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t in_coded = chunk.chunk.coded_bytes > 0 && random() % 2 == 0
                                  ? chunk.chunk.raw_bytes + random() % 300
                                  : random() % chunk.bytes.size();
      std::byte& byte = chunk.bytes[std::min(in_coded, chunk.bytes.size() - 1)];
      byte ^= random() % 2 == 0 ? std::byte{1} << random() % 8
                                : static_cast<std::byte>(random());
    }
    if (chunk == before) continue;
    plain_elems.assign(ElemBytes(chunk.chunk), std::byte{0});
    const PlaneFault plain =
        DecodeChunk(nullptr, chunk.chunk, chunk.bytes, plain_elems);
    ASSERT_NE(plain, PlaneFault::kNone) << i;
    ASSERT_EQ(Fault(chunk.chunk, chunk.bytes), plain)
        << i << " " << Name(type) << " " << Name(data);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTables, PlaneDamageTest,
                         testing::ValuesIn(RunnableTables()), TableName);

TEST(PlaneFault, HasANameForEach) {
  for (uint32_t i = 1; i <= static_cast<uint32_t>(PlaneFault::kCrc); ++i) {
    EXPECT_NE(Name(static_cast<PlaneFault>(i)), "");
  }
  EXPECT_EQ(Name(PlaneFault::kNone), "");
}

}  // namespace
}  // namespace caisson
