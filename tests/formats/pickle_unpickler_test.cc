// SPDX-License-Identifier: Apache-2.0
//
// What each opcode means, and which of them strict mode takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "core/formats/pickle/opcodes.h"
#include "core/formats/pickle/unpickler.h"
#include "tests/formats/pickle_code.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/status_matchers.h"

namespace caisson::pickle {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Unpickler, ReadsScalars) {
  EXPECT_EQ(Meaning("N"), "None");
  EXPECT_EQ(Meaning("\x88"), "True");
  EXPECT_EQ(Meaning("\x89"), "False");
  EXPECT_EQ(Meaning("K\0"s), "0");
  EXPECT_EQ(Meaning("K\xff"), "255");
  EXPECT_EQ(Meaning("M\x00\x01"s), "256");
  EXPECT_EQ(Meaning("M\xff\xff"), "65535");
  EXPECT_EQ(Meaning("J\x00\x00\x01\x00"s), "65536");
  EXPECT_EQ(Meaning("J\xff\xff\xff\xff"), "-1");
  EXPECT_EQ(Meaning("J\x00\x00\x00\x80"s), "-2147483648");
  EXPECT_EQ(Meaning("G\x3f\xf8\0\0\0\0\0\0"s), "1.5");
  EXPECT_EQ(Meaning("G\x80\0\0\0\0\0\0\0"s), "-0.0");
}

TEST(Unpickler, ReadsLongIntegers) {
  EXPECT_EQ(Meaning("\x8a\0"s), "0");
  EXPECT_EQ(Meaning("\x8a\x01\xff"), "-1");
  EXPECT_EQ(Meaning("\x8a\x05\0\0\0\x80\0"s), "2147483648");
  EXPECT_EQ(Meaning("\x8a\x09\0\0\0\0\0\0\0\0\x01"s), "18446744073709551616");
  EXPECT_EQ(Meaning("\x8b\x02\0\0\0\0\x01"s), "256");
  EXPECT_EQ(Meaning("\x8b\0\0\0\0"s), "0");
}

TEST(Unpickler, ReadsText) {
  EXPECT_EQ(Meaning(Str("")), "''");
  EXPECT_EQ(Meaning(Str("h\xc3\xa9")), "'h\xc3\xa9'");
  EXPECT_EQ(Meaning(Str("\xed\xa0\x80")), "'\xed\xa0\x80'") << "surrogatepass";
  EXPECT_EQ(Meaning("\x8c\x02"
                    "ab"),
            "'ab'");
  EXPECT_EQ(Meaning("\x8d\x02\0\0\0\0\0\0\0ab"s), "'ab'");
  EXPECT_EQ(Meaning("U\x02"
                    "ab"),
            "'ab'");
  EXPECT_EQ(Meaning("T\x02\0\0\0ab"s), "'ab'");
}

TEST(Unpickler, ReadsBytes) {
  EXPECT_EQ(Meaning("C\x02\0\xff"s), "b'\\x00\xff'");
  EXPECT_EQ(Meaning("B\x01\0\0\0x"s), "b'x'");
  EXPECT_EQ(Meaning("\x8e\x01\0\0\0\0\0\0\0x"s), "b'x'");
  EXPECT_EQ(Meaning("\x96\x01\0\0\0\0\0\0\0x"s), "bytearray(b'x')");
}

// torch.load decodes a Python 2 str as UTF-8; other bytes stay bytes where
// that is allowed.
TEST(Unpickler, ReadsPython2StringsAsTextWhereTheyAreText) {
  EXPECT_EQ(Meaning("U\x01\xff"), "b'\xff'");
  EXPECT_EQ(StrictMeaning("U\x02"
                          "ab"),
            "'ab'");
  EXPECT_THAT(StrictMeaning("U\x01\xff"),
              HasSubstr("corrupt: p at 2: a Python 2 str that is no UTF-8"));
}

TEST(Unpickler, ReadsTuples) {
  EXPECT_EQ(Meaning(")"), "()");
  EXPECT_EQ(Meaning(Int(1) + "\x85"), "(1,)");
  EXPECT_EQ(Meaning(Int(1) + Int(2) + "\x86"), "(1, 2)");
  EXPECT_EQ(Meaning(Int(1) + Int(2) + Int(3) + "\x87"), "(1, 2, 3)");
  EXPECT_EQ(Meaning("(" + Int(1) + Int(2) + Int(3) + Int(4) + "t"),
            "(1, 2, 3, 4)");
  EXPECT_EQ(Meaning("(t"), "()");
}

TEST(Unpickler, ReadsLists) {
  EXPECT_EQ(Meaning("]"), "[]");
  EXPECT_EQ(Meaning("]" + Int(1) + "a"), "[1]");
  EXPECT_EQ(Meaning("](" + Int(1) + Int(2) + "e(" + Int(3) + "e"), "[1, 2, 3]");
  EXPECT_EQ(Meaning("](e"), "[]");
}

TEST(Unpickler, ReadsDicts) {
  EXPECT_EQ(Meaning("}"), "{}");
  EXPECT_EQ(Meaning("}" + Str("a") + Int(1) + "s"), "{'a': 1}");
  EXPECT_EQ(Meaning("}(" + Str("a") + Int(1) + Str("b") + Int(2) + "u"),
            "{'a': 1, 'b': 2}");
  EXPECT_EQ(Meaning("}(u"), "{}") << "an empty last batch";
  EXPECT_EQ(Meaning("}(" + Int(1) + Str("a") + Int(2) + Str("b") + "\x88" +
                    Str("c") + "u"),
            "{1: 'c', 2: 'b'}")
      << "the last value wins in the first place";
}

TEST(Unpickler, ReadsSets) {
  EXPECT_EQ(Meaning("\x8f"), "set()");
  EXPECT_EQ(Meaning("\x8f(" + Int(1) + Int(2) + "\x90"), "set(1, 2)");
  EXPECT_EQ(Meaning("(" + Int(1) + Int(2) + "\x91"), "frozenset(1, 2)");
}

TEST(Unpickler, KeepsWhatTheMemoShares) {
  const auto result = UnpickleBytes(
      Whole("](" + Str("x") + Put(0) + "]" + Put(7) + Get(0) + Get(7) + "e"));
  CAISSON_ASSERT_OK(result);
  const auto& items = result->root.As<List>()->items;
  ASSERT_EQ(items.size(), 4u);
  EXPECT_TRUE(items[0].same(items[2]));
  EXPECT_TRUE(items[1].same(items[3]));
  EXPECT_TRUE(items[0].As<Text>()->same(*items[2].As<Text>()));
}

TEST(Unpickler, FindsMemoEntriesOfEveryWidthAndOrder) {
  EXPECT_EQ(Meaning("](" + Int(1) + "r\x05\0\0\0"s + "h\x05" + "e"), "[1, 1]");
  EXPECT_EQ(Meaning("](" + Int(1) + Put(5) + "j\x05\0\0\0"s + "e"), "[1, 1]");
  EXPECT_EQ(Meaning("](" + Int(1) + Put(300) + Int(2) + Put(0) + Get(300) +
                    Get(0) + "e"),
            "[1, 2, 1, 2]");
  EXPECT_EQ(Meaning("](" + Int(1) + Put(0) + Int(2) + Put(0) + Get(0) + "e"),
            "[1, 2, 2]")
      << "a second PUT replaces";
  EXPECT_EQ(Meaning("](" + Int(1) + Put(1) + Int(2) + Put(0) + Int(3) + Put(1) +
                    Get(1) + Get(0) + "e"),
            "[1, 2, 3, 3, 2]");
}

// CPython numbers them by the entries that there are.
TEST(Unpickler, MemoizesUnderTheNextNumber) {
  EXPECT_EQ(
      Meaning("](" + Int(1) + "\x94" + Int(2) + "\x94" + Get(1) + Get(0) + "e"),
      "[1, 2, 2, 1]");
  EXPECT_EQ(Meaning("](" + Int(1) + Put(1) + Int(2) + Put(0) + Int(3) + Put(1) +
                    Int(4) + "\x94" + Get(2) + "e"),
            "[1, 2, 3, 4, 4]");
}

TEST(Unpickler, WorksTheStack) {
  EXPECT_EQ(Meaning(Int(1) + Int(2) + "0"), "1") << "POP";
  EXPECT_EQ(Meaning(Int(1) + "(0"), "1") << "POP of a mark";
  EXPECT_EQ(Meaning(Int(1) + "(" + Int(2) + Int(3) + "1"), "1") << "POP_MARK";
  EXPECT_EQ(Meaning(Int(1) + "2\x86"), "(1, 1)") << "DUP";
}

TEST(Unpickler, SkipsProtocolsAndFrames) {
  EXPECT_EQ(Meaning("\x80\x05" + Int(1)), "1");
  EXPECT_EQ(Meaning("\x95\xff\xff\xff\xff\xff\xff\xff\xff" + Int(1)), "1");
  const auto bare = UnpickleBytes("K\x07.");
  CAISSON_ASSERT_OK(bare);
  EXPECT_EQ(NodeText(bare->root), "7");
}

TEST(Unpickler, StopsAtStopAndSaysWhere) {
  const auto result = UnpickleBytes("\x80\x02N.junk");
  CAISSON_ASSERT_OK(result);
  EXPECT_EQ(result->bytes, 4u);
}

TEST(Unpickler, KeepsGlobalsAsNames) {
  EXPECT_EQ(Meaning(Class("os", "system")), "os.system");
  EXPECT_EQ(Meaning(Class("__builtin__", "set")), "builtins.set");
  EXPECT_EQ(Meaning(Class("copy_reg", "_reconstructor")),
            "copyreg._reconstructor");
  EXPECT_EQ(Meaning(Str("a.b") + Str("c") + "\x93"), "a.b.c");
}

TEST(Unpickler, ListsEachUnknownGlobalOnce) {
  const auto result = UnpickleBytes(Whole(
      "](" + Class("os", "system") + Class("safe", "C") + Class("b", "c") +
      Class("os", "system") + Class("__builtin__", "set") + "e"));
  CAISSON_ASSERT_OK(result);
  EXPECT_THAT(result->unknown,
              ElementsAre(Global{"os", "system"}, Global{"b", "c"}));
}

TEST(Unpickler, MakesWhatBuiltinsMake) {
  const auto call = [](const char* name, const std::string& args) {
    return Meaning(Class("__builtin__", name) + args + "R");
  };
  EXPECT_EQ(call("bytes", ")"), "b''");
  EXPECT_EQ(call("bytearray", ")"), "bytearray(b'')");
  EXPECT_EQ(call("bytearray", "C\x01x\x85"), "bytearray(b'x')");
  EXPECT_EQ(call("bytearray", Str("\xc3\xbf") + Str("latin-1") + "\x86"),
            "bytearray(b'\xff')");
  EXPECT_EQ(call("set", "](" + Int(1) + Int(2) + "e\x85"), "set(1, 2)");
  EXPECT_EQ(call("set", ")"), "set()");
  EXPECT_EQ(call("frozenset", "]" + Int(1) + "a\x85"), "frozenset(1)");
  EXPECT_EQ(call("frozenset", Int(1) + "\x85\x85"), "frozenset(1)");
  EXPECT_EQ(call("complex", Int(1) + "G\xbf\xf0\0\0\0\0\0\0"s + "\x86"),
            "complex(1.0, -1.0)");
  EXPECT_EQ(Meaning(Class("_codecs", "encode") + Str("\xc3\xbf") +
                    Str("latin1") + "\x86R"),
            "b'\xff'");
}

TEST(Unpickler, MakesOrderedDicts) {
  const std::string cls = Class("collections", "OrderedDict");
  EXPECT_EQ(Meaning(cls + ")R"), "OrderedDict{}");
  EXPECT_EQ(Meaning(cls + ")\x81"), "OrderedDict{}");
  EXPECT_EQ(Meaning(cls + ")R" + Str("a") + Int(1) + "s"),
            "OrderedDict{'a': 1}");
  EXPECT_EQ(Meaning(cls + ")R}" + Str("_metadata") + "N" + "sb"),
            "OrderedDict{} with {'_metadata': None}");
  // Python 2: a list of lists.
  EXPECT_EQ(Meaning(cls + "](](" + Str("a") + Int(1) + "ee\x85R"),
            "OrderedDict{'a': 1}");
}

TEST(Unpickler, KeepsOtherCallsAsTheyAre) {
  EXPECT_EQ(Meaning(Class("m", "f") + Int(1) + "\x85R"), "m.f(1,)");
  EXPECT_EQ(Meaning(Class("m", "C") + ")\x81"), "m.C.__new__()");
  EXPECT_EQ(Meaning(Class("m", "C") + ")\x81}" + Str("a") + Int(1) + "sb"),
            "m.C.__new__() state {'a': 1}");
  EXPECT_EQ(
      Meaning(Class("m", "L") + ")R" + Int(1) + "a(" + Int(2) + Int(3) + "e"),
      "m.L() items [1, 2, 3]");
  EXPECT_EQ(Meaning(Class("m", "D") + ")R" + Str("k") + Int(1) + "s"),
            "m.D() entries {'k': 1}");
  EXPECT_EQ(Meaning(Class("m", "f") + ")R)R"), "m.f()()")
      << "a call of what a call gave";
}

TEST(Unpickler, AsksItsSemantics) {
  EXPECT_EQ(Meaning(Class("m", "sum") + Int(1) + Int(2) + "\x86R"), "3");
  EXPECT_EQ(Meaning(Str("id") + "Q"), "['persistent', 'id']");
  EXPECT_THAT(Meaning(Class("m", "sum") + "N\x85R"),
              HasSubstr("corrupt: p at 11: sum of no int"));
}

TEST(Unpickler, FillsACounter) {
  EXPECT_EQ(Meaning(Class("collections", "Counter") + "}" + Str("a") + Int(2) +
                    "s\x85R"),
            "collections.Counter({'a': 2},)");
}

// formats.md 2.8, typed in from there.
const std::set<int>& StrictOpcodes() {
  static const std::set<int> kOpcodes = {
      0x80, '.', '(',  'N',  0x88, 0x89, 'K', 'M', 'J', 0x8a, 'G', 'X',
      'c',  ')', 0x85, 0x86, 0x87, 't',  ']', 'a', 'e', '}',  's', 'u',
      'R',  'b', 0x81, 'Q',  'q',  'r',  'h', 'j', 'U', 0x8f};
  return kOpcodes;
}

// formats.md 2.9, and what it takes to read Python's protocols 3 to 5.
const std::set<int>& LenientOpcodes() {
  static const std::set<int> kOpcodes = [] {
    std::set<int> opcodes = StrictOpcodes();
    opcodes.insert({'B', 'C', 0x8c, 0x8d, 0x8e, 0x8b, 0x95, 0x94, 0x93, 0x90,
                    0x91, 0x96, '0', '1', '2', 'T'});
    return opcodes;
  }();
  return kOpcodes;
}

TEST(Unpickler, RefusesEveryOtherByteOfThe256) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const bool strict : {true, false}) {
      const bool known =
          (strict ? StrictOpcodes() : LenientOpcodes()).contains(byte);
      // Enough of everything for an opcode to work on; not all of them can.
      const std::string code = "](" + Int(1) + Int(2) +
                               Op(static_cast<uint8_t>(byte)) +
                               std::string(40, '\0');
      const auto result = UnpickleBytes(code, Options{.strict = strict});
      const bool refused =
          !result.has_value() &&
          result.error().code() == StatusCode::kUnsupported &&
          result.error().message().starts_with("p at 6: opcode 0x");
      EXPECT_EQ(refused, !known) << "byte " << byte << ", strict " << strict;
    }
  }
}

TEST(Unpickler, NamesTheOpcodeThatItRefuses) {
  EXPECT_EQ(StrictMeaning("0"),
            "unsupported: p at 2: opcode 0x30, which "
            "torch.load(weights_only=True) refuses");
  EXPECT_EQ(Meaning("I01\n"), "unsupported: p at 2: opcode 0x49");
}

TEST(Unpickler, TakesOnlyTheBuiltinsOfWeightsOnlyInStrictMode) {
  for (const char* name : {"frozenset", "bytes", "eval", "getattr"}) {
    EXPECT_EQ(StrictMeaning(Class("__builtin__", name)),
              "unsupported: p at 2: the global builtins." + std::string(name) +
                  ", which torch.load(weights_only=True) refuses");
  }
  EXPECT_EQ(StrictMeaning(Class("safe", "C")), "safe.C");
}

TEST(Unpickler, ReadsNoByteBeyondTheLast) {
  const std::string code = Whole(
      "](" + Str("abc") + Put(0) + Class("m", "f") + Int(70000) + "\x85R" +
      "\x8a\x02\x01\x02" + "G\x3f\xf8\0\0\0\0\0\0"s + "C\x02xy" + Get(0) + "e");
  const GuardedBuffer buffer(code.size());
  for (size_t bytes = 0; bytes <= code.size(); ++bytes) {
    const auto input = buffer.AtEnd(bytes);
    std::memcpy(input.data(), code.data(), bytes);
    PlainSemantics semantics;
    const auto result = Unpickle(input, "p", semantics);
    EXPECT_EQ(result.has_value(), bytes == code.size()) << bytes;
  }
}

}  // namespace
}  // namespace caisson::pickle
