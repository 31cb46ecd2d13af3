// SPDX-License-Identifier: Apache-2.0
//
// Pickles that ask for far more than they hold. What the reader takes for them
// is bounded by their own size; each bound is a multiple that was measured,
// with room to spare. The largest honest need is a container of one byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <unordered_map>

#include "tests/formats/pickle_code.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson::pickle {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// A container of one byte is a value of 144 bytes with its handles on the
// stack, in the list of containers and in the measure of depth.
constexpr size_t kBytesPerByte = 300;

// What a pickle means, and the most that reading it takes.
struct Answer {
  Status status;
  size_t peak_bytes;
};

Answer Read(const std::string& pickle, bool strict = false) {
  const AllocationMeter meter;
  const Status status =
      UnpickleBytes(pickle, Options{.strict = strict}).status();
  return {status, meter.PeakBytes()};
}

// Reads Whole(code) within the bound.
Status ReadBounded(const std::string& code, size_t per_byte = kBytesPerByte) {
  const std::string pickle = Whole(code);
  const Answer answer = Read(pickle);
  EXPECT_LT(answer.peak_bytes, 65536 + per_byte * pickle.size())
      << answer.peak_bytes / pickle.size() << " bytes for each";
  return answer.status;
}

constexpr size_t kMillion = 1000000;
constexpr size_t kFlood = 200000;

TEST(PickleAbuse, TakesNothingForTheLargestMemoIndex) {
  const Answer answer =
      Read(Whole("](N" + Put(0xffffffff) + Get(0xffffffff) + "e"));
  CAISSON_EXPECT_OK(answer.status);
  EXPECT_LT(answer.peak_bytes, size_t{8192});
}

TEST(PickleAbuse, TakesLittleForManyScatteredMemoIndices) {
  std::string code = "]";
  for (uint32_t i = 0; i < 100000; ++i) code += Put(0xffffffff - 40009 * i);
  CAISSON_EXPECT_OK(ReadBounded(code));
}

TEST(PickleAbuse, BelievesNoLengthBeforeItsBytesAreThere) {
  using std::string_literals::operator""s;
  const std::string k32 = "\xff\xff\xff\xff";
  const std::string k64 = k32 + k32;
  for (const std::string& code :
       {"X" + k32, "T" + k32, "B" + k32, "\x8b" + k32, "\x8d" + k64,
        "\x8e" + k64, "\x96" + k64, "X\xff\xff\xff\x7f"s,
        "\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"s}) {
    const Answer answer = Read("\x80\x02" + code + "abc.");
    EXPECT_THAT(answer.status,
                StatusIs(StatusCode::kCorrupt, HasSubstr("ends early")));
    EXPECT_LT(answer.peak_bytes, size_t{8192});
  }
}

TEST(PickleAbuse, RefusesAMillionNestedTuples) {
  EXPECT_THAT(ReadBounded(")" + Repeated("\x85", kMillion)),
              StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
  EXPECT_THAT(ReadBounded(Repeated("(", kMillion) + Repeated("t", kMillion)),
              StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
}

TEST(PickleAbuse, RefusesAMillionNestedLists) {
  EXPECT_THAT(
      ReadBounded(Repeated("]", kMillion) + Repeated("a", kMillion - 1)),
      StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
}

TEST(PickleAbuse, RefusesAMillionNestedDicts) {
  EXPECT_THAT(
      ReadBounded("}" + Repeated("N}", kMillion) + Repeated("s", kMillion)),
      StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
}

TEST(PickleAbuse, RefusesAMillionNestedObjects) {
  const std::string code = Class("m", "C") + Put(0) + "0" +
                           Repeated(Get(0) + ")\x81", kMillion / 4) +
                           Repeated("b", kMillion / 4 - 1);
  EXPECT_THAT(ReadBounded(code),
              StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
}

// Nothing but the memo holds it: it is freed with what was refused.
TEST(PickleAbuse, RefusesDeepNestingInGarbage) {
  EXPECT_THAT(ReadBounded(")" + Repeated("\x85", kMillion) + "0N"),
              StatusIs(StatusCode::kUnsupported, HasSubstr("nested deeper")));
}

TEST(PickleAbuse, FreesDeepNestingWhenTheStreamBreaks) {
  EXPECT_THAT(ReadBounded(")" + Repeated("\x85", kMillion) + "t"),
              StatusIs(StatusCode::kCorrupt, HasSubstr("no mark")));
}

TEST(PickleAbuse, AcceptsTheDeepestNestingAndNoneDeeper) {
  CAISSON_EXPECT_OK(ReadBounded(")" + Repeated("\x85", kMaxDepth - 1)));
  EXPECT_THAT(ReadBounded(")" + Repeated("\x85", kMaxDepth)),
              StatusIs(StatusCode::kUnsupported, "p: nested deeper than 1000"));
  CAISSON_EXPECT_OK(
      ReadBounded(Repeated("]", kMaxDepth) + Repeated("a", kMaxDepth - 1)));
  EXPECT_THAT(
      ReadBounded(Repeated("]", kMaxDepth + 1) + Repeated("a", kMaxDepth)),
      StatusIs(StatusCode::kUnsupported));
}

// 60 steps of 3 bytes, 2^60 paths: kept as a graph of 61 nodes.
TEST(PickleAbuse, KeepsADoublingBombAsItsSixtyNodes) {
  CAISSON_EXPECT_OK(ReadBounded("N" + Repeated("2\x86", 60)));
  std::string code = ")";
  for (uint32_t i = 0; i < 60; ++i) {
    code += Put(i) + "0" + Get(i) + Get(i) + "\x86";
  }
  CAISSON_EXPECT_OK(ReadBounded(code));
  std::string lists = "]";
  for (uint32_t i = 0; i < 60; ++i) {
    lists += Put(i) + "0](" + Get(i) + Get(i) + "e";
  }
  CAISSON_EXPECT_OK(ReadBounded(lists));
}

TEST(PickleAbuse, RefusesWhatHoldsItself) {
  const std::string kCycles[] = {
      "]" + Put(0) + Get(0) + "a",
      "]" + Put(0) + "(" + Get(0) + Get(0) + "e",
      "}" + Put(0) + "N" + Get(0) + "s",
      "]" + Put(0) + Get(0) + "\x85" + "a",
      "\x8f" + Put(0) + "(" + Get(0) + "\x90",
      Class("collections", "OrderedDict") + ")R" + Put(0) + "}N" + Get(0) +
          "sb",
      Class("m", "C") + ")\x81" + Put(0) + Get(0) + "b",
      Class("m", "C") + ")R" + Put(0) + Get(0) + "a",
      Class("m", "C") + ")R" + Put(0) + "N" + Get(0) + "s",
  };
  for (const std::string& code : kCycles) {
    EXPECT_THAT(ReadBounded(code), StatusIs(StatusCode::kUnsupported,
                                            "p: a container holds itself"))
        << testing::PrintToString(code);
  }
}

TEST(PickleAbuse, LeaksNothingThatHoldsItself) {
  const std::string cycle =
      Whole("](" + Repeated("]" + Put(0) + Get(0) + "a", 1000) + "e");
  (void)UnpickleBytes(cycle);
  const AllocationMeter meter;
  EXPECT_FALSE(UnpickleBytes(cycle).has_value());
  EXPECT_EQ(meter.HeldBytes(), 0u);
}

TEST(PickleAbuse, BoundsFloodsOfOneByte) {
  for (const char* opcode : {"(", "N", "]", "}", ")", "\x8f", "\x88"}) {
    EXPECT_THAT(ReadBounded(Repeated(opcode, kFlood)),
                StatusIs(StatusCode::kCorrupt))
        << opcode;
  }
  for (const char* opcode : {"2", "\x94"}) {
    EXPECT_THAT(ReadBounded("N" + Repeated(opcode, kFlood)),
                AnyOf(IsOk(), StatusIs(StatusCode::kCorrupt)))
        << opcode;
  }
}

TEST(PickleAbuse, BoundsFloodsThatMakeAValue) {
  for (const char* item : {"]", "}", ")", "\x8f", "N", "\x89"}) {
    CAISSON_EXPECT_OK(ReadBounded("](" + Repeated(item, kFlood) + "e"));
    CAISSON_EXPECT_OK(ReadBounded("(" + Repeated(item, kFlood) + "t"));
  }
}

TEST(PickleAbuse, BoundsGlobalsAndCalls) {
  CAISSON_EXPECT_OK(ReadBounded("](" + Repeated("c\n\n", kMillion / 4) + "e"));
  const std::string prefix = Class("m", "f") + Put(0) + "0](";
  CAISSON_EXPECT_OK(
      ReadBounded(prefix + Repeated(Get(0) + ")R", kMillion / 4) + "e"));
  CAISSON_EXPECT_OK(
      ReadBounded(prefix + Repeated(Get(0) + ")\x81", kMillion / 4) + "e"));
}

// Each of these calls would copy a megabyte for ten bytes of pickle.
TEST(PickleAbuse, RefusesCallsThatCopyAMegabyteAgainAndAgain) {
  const std::string megabyte = Str(std::string(kMillion, 'x'));
  const std::string latin1 = Str("latin1") + Put(1) + "0";
  const std::string kCalls[] = {
      // _codecs.encode(text, 'latin1')
      megabyte + Put(0) + "0" + latin1 + Class("_codecs", "encode") + Put(2) +
          "0](" + Repeated(Get(2) + Get(0) + Get(1) + "\x86R", 1000) + "e",
      // bytearray(text, 'latin1')
      megabyte + Put(0) + "0" + latin1 + Class("__builtin__", "bytearray") +
          Put(2) + "0](" + Repeated(Get(2) + Get(0) + Get(1) + "\x86R", 1000) +
          "e",
      // bytearray(bytes)
      Op('B', static_cast<uint32_t>(kMillion)) + std::string(kMillion, 'x') +
          Put(0) + "0" + Class("__builtin__", "bytearray") + Put(2) + "0](" +
          Repeated(Get(2) + Get(0) + "\x85R", 1000) + "e",
      // set(list)
      "](" + Repeated("N", kMillion) + "e" + Put(0) + "0" +
          Class("__builtin__", "set") + Put(2) + "0](" +
          Repeated(Get(2) + Get(0) + "\x85R", 1000) + "e",
      // OrderedDict(list of pairs)
      "](" + Repeated("K\x01N\x86", kMillion / 4) + "e" + Put(0) + "0" +
          Class("collections", "OrderedDict") + Put(2) + "0](" +
          Repeated(Get(2) + Get(0) + "\x85R", 1000) + "e",
      // a global of a name on the stack
      megabyte + Put(0) + "0](" + Repeated(Get(0) + Get(0) + "\x93", 1000) +
          "e",
  };
  for (const std::string& code : kCalls) {
    EXPECT_THAT(
        ReadBounded(code),
        StatusIs(StatusCode::kCorrupt,
                 HasSubstr("calls copy far more than the pickle holds")));
  }
}

double Seconds(const std::string& code) {
  const auto start = std::chrono::steady_clock::now();
  (void)UnpickleBytes(Whole(code));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// Twice the bytes take about twice the time; a quadratic reader takes four
// times as long. Generous, as other programs run beside this one.
void ExpectLinearTime(const std::string& setup, const std::string& step,
                      size_t times) {
  const double one = Seconds(setup + Repeated(step, times));
  const double four = Seconds(setup + Repeated(step, 4 * times));
  EXPECT_LT(four, 9 * one + 0.2) << "1x " << one << " s, 4x " << four << " s";
}

TEST(PickleAbuse, BoundsTheWorkOfKeysThatAreHugeSharedTuples) {
  const std::string tuple = TupleOf(Repeated("N", 255)) + Put(0) + "0}";
  CAISSON_EXPECT_OK(ReadBounded(tuple + Repeated(Get(0) + "Ns", 100000)));
  ExpectLinearTime(tuple, Get(0) + "Ns", 20000);
  EXPECT_THAT(ReadBounded(TupleOf(Repeated("N", kMillion)) + Put(0) + "0}" +
                          Repeated(Get(0) + "Ns", 100000)),
              StatusIs(StatusCode::kUnsupported,
                       HasSubstr("a dict key of more than 256 parts")));
  std::string doubling = "N" + Repeated("2\x86", 60) + Put(0) + "0}";
  EXPECT_THAT(
      ReadBounded(doubling + Get(0) + "Ns"),
      StatusIs(StatusCode::kUnsupported, HasSubstr("more than 256 parts")));
}

// The first part refuses the key; nobody may walk down the rest of it.
TEST(PickleAbuse, LooksNoFurtherIntoAKeyThatCannotBeHashed) {
  const std::string deep = ")" + Repeated("\x85", kMillion);
  EXPECT_THAT(ReadBounded("}]" + deep + "\x86Ns"),
              StatusIs(StatusCode::kCorrupt,
                       HasSubstr("a dict key that cannot be hashed")));
  EXPECT_THAT(
      ReadBounded("}]" + TupleOf(Repeated("N", kMillion)) + Put(0) + "\x86Ns"),
      StatusIs(StatusCode::kCorrupt));
}

TEST(PickleAbuse, BoundsTheWorkOfKeysThatAreHugeBytes) {
  const std::string bytes = Op('B', static_cast<uint32_t>(kMillion)) +
                            std::string(kMillion, 'x') + Put(0) + "0}";
  EXPECT_THAT(
      ReadBounded(bytes + Get(0) + "Ns"),
      StatusIs(StatusCode::kUnsupported, HasSubstr("more than 256 parts")));
  const std::string number = Op(0x8b, static_cast<uint32_t>(kMillion)) +
                             std::string(kMillion, 'x') + Put(0) + "0}";
  EXPECT_THAT(
      ReadBounded(number + Get(0) + "Ns"),
      StatusIs(StatusCode::kUnsupported, HasSubstr("more than 256 parts")));
}

TEST(PickleAbuse, ReadsAMegabyteKeyAgainAndAgainWithoutHashingIt) {
  const std::string text = Str(std::string(kMillion, 'x')) + Put(0) + "0}";
  CAISSON_EXPECT_OK(ReadBounded(text + Repeated(Get(0) + "Ns", 100000)));
  ExpectLinearTime(text, Get(0) + "Ns", 100000);
}

// Multiples of the number of buckets: all in one of them if the hash of an int
// is the int.
TEST(PickleAbuse, SpreadsKeysThatShareABucketOfTheStandardHash) {
  std::unordered_map<int64_t, int> map;
  for (int64_t i = 0; i < 60000; ++i) map[i] = 0;
  const auto buckets = static_cast<int64_t>(map.bucket_count());
  const auto keys = [&](int64_t count) {
    std::string code = "}";
    for (int64_t i = 1; i <= count; ++i) code += Int(buckets * i) + "Ns";
    return code;
  };
  CAISSON_EXPECT_OK(ReadBounded(keys(60000)));
  EXPECT_LT(Seconds(keys(buckets)), 2.0) << buckets << " buckets";
}

// Pairs whose second int is chosen so that all have the same hash; see
// DictKeys.RefuseMoreThan64OfOneHash.
TEST(PickleAbuse, RefusesKeysThatAllHaveOneHash) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  const auto mix = [](uint64_t seed, uint64_t value) {
    return seed ^ (value + kGolden + (seed << 6) + (seed >> 2));
  };
  std::string code = "}";
  for (uint64_t i = 0; i < 100000; ++i) {
    const uint64_t seed = mix(2, i);
    const uint64_t partner = seed - kGolden - (seed << 6) - (seed >> 2);
    code += Int(static_cast<int64_t>(i)) + Int(static_cast<int64_t>(partner)) +
            "\x86Ns";
  }
  EXPECT_THAT(ReadBounded(code), StatusIs(StatusCode::kUnsupported,
                                          HasSubstr("dict keys of one hash")));
}

// NaNs are equal to nothing, so that each is an entry of its own.
TEST(PickleAbuse, SpreadsKeysThatAreAllNan) {
  using std::string_literals::operator""s;
  const std::string nan = "G\x7f\xf8\0\0\0\0\0\0"s + "Ns";
  CAISSON_EXPECT_OK(ReadBounded("}" + Repeated(nan, 100000)));
  EXPECT_LT(Seconds("}" + Repeated(nan, 100000)), 2.0);
}

}  // namespace
}  // namespace caisson::pickle
