// SPDX-License-Identifier: Apache-2.0
//
// Malformed streams: each is a typed error that names the offset of the opcode
// which cannot be followed. formats.md 8.3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/formats/pickle_code.h"
#include "tests/support/status_matchers.h"

namespace caisson::pickle {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;
using testing::StartsWith;

// The code begins at offset 2, behind PROTO.
void ExpectCorrupt(const std::string& code, size_t at,
                   const std::string& problem) {
  std::string start = "corrupt: p at ";
  start.append(std::to_string(at)).append(": ").append(problem);
  EXPECT_THAT(Meaning(code), StartsWith(start)) << testing::PrintToString(code);
}

TEST(PickleErrors, TellOfAStreamThatEndsEarly) {
  PlainSemantics semantics;
  EXPECT_EQ(UnpickleBytes("").error().ToString(),
            "corrupt: p at 0: the pickle ends early");
  EXPECT_EQ(UnpickleBytes("\x80").error().ToString(),
            "corrupt: p at 0: the pickle ends early");
  EXPECT_EQ(UnpickleBytes("\x80\x02").error().ToString(),
            "corrupt: p at 2: the pickle ends early");
  EXPECT_EQ(UnpickleBytes("\x80\x02N").error().ToString(),
            "corrupt: p at 3: the pickle ends early");
}

TEST(PickleErrors, TellOfArgumentsThatEndEarly) {
  const std::string kCut[] = {
      "K",
      "M\x01",
      "J\x01\x02\x03",
      "G\x01\x02\x03\x04",
      "X\x02",
      "X\x02\0\0\0a"s,
      "U",
      "U\x02"s + "a",
      "T\x02\0\0"s,
      "T\x02\0\0\0a"s,
      "\x8a",
      "\x8a\x02\x01",
      "\x8b\x01\0"s,
      "\x8b\x02\0\0\0a"s,
      "C\x02"s + "a",
      "B\x02\0\0\0a"s,
      "\x8c\x02"s + "a",
      "\x8d\x02\0\0\0\0\0\0\0a"s,
      "\x8e\x02\0\0\0\0\0\0\0a"s,
      "\x96\x02\0\0\0\0\0\0\0a"s,
      "Nq",
      "Nr\x01\0\0"s,
      "h",
      "j\x01\0\0"s,
      "\x80",
      "\x95\0\0\0"s,
      "c",
      "cos",
      "cos\n",
      "cos\nsystem",
  };
  for (const std::string& code : kCut) {
    const auto result = UnpickleBytes("\x80\x02" + code);
    EXPECT_THAT(result, StatusIs(StatusCode::kCorrupt, HasSubstr("ends early")))
        << testing::PrintToString(code);
  }
}

TEST(PickleErrors, TellOfItemsThatAreMissing) {
  ExpectCorrupt("0", 2, "needs 1 items above the mark, found 0");
  ExpectCorrupt("2", 2, "needs 1 items");
  ExpectCorrupt("q\0"s, 2, "needs 1 items");
  ExpectCorrupt("\x94", 2, "needs 1 items");
  ExpectCorrupt("Q", 2, "needs 1 items");
  ExpectCorrupt("\x85", 2, "needs 1 items");
  ExpectCorrupt("N\x86", 3, "needs 2 items above the mark, found 1");
  ExpectCorrupt("NN\x87", 4, "needs 3 items above the mark, found 2");
  ExpectCorrupt("Na", 3, "needs 2 items");
  ExpectCorrupt("}Ns", 4, "needs 3 items");
  ExpectCorrupt("NR", 3, "needs 2 items");
  ExpectCorrupt("N\x81", 3, "needs 2 items");
  ExpectCorrupt("Nb", 3, "needs 2 items");
  ExpectCorrupt("N\x93", 3, "needs 2 items");
}

// What lies below a mark is out of reach until the mark is gone.
TEST(PickleErrors, TellOfItemsThatLieBelowAMark) {
  ExpectCorrupt("N(\x85", 4, "needs 1 items above the mark, found 0");
  ExpectCorrupt("](Na", 5, "needs 2 items");
  ExpectCorrupt("}(NNs", 6, "needs 3 items");
  ExpectCorrupt("N(q\0"s, 4, "needs 1 items");
  ExpectCorrupt("N(2", 4, "needs 1 items");
  ExpectCorrupt("]((e", 5, "needs 1 items");
}

TEST(PickleErrors, TellOfAMarkThatIsMissing) {
  for (const char* opcode : {"t", "e", "u", "\x90", "\x91", "1"}) {
    ExpectCorrupt(std::string("N") + opcode, 3, "no mark on the stack");
  }
}

TEST(PickleErrors, TellOfATargetThatIsMissing) {
  ExpectCorrupt("(e", 3, "needs 1 items above the mark, found 0");
  ExpectCorrupt("(u", 3, "needs 1 items");
  ExpectCorrupt("(\x90", 3, "needs 1 items");
}

TEST(PickleErrors, TellOfAStackThatIsNotOneItem) {
  ExpectCorrupt("", 2, "STOP with 0 items on the stack, expected 1");
  ExpectCorrupt("NN", 4, "STOP with 2 items");
  ExpectCorrupt("N(", 4, "STOP with an open mark");
  ExpectCorrupt("(N", 4, "STOP with an open mark");
}

TEST(PickleErrors, TellOfAMemoEntryThatWasNeverSet) {
  ExpectCorrupt("h\0"s, 2, "memo entry 0 was never set");
  ExpectCorrupt("Nq\x05h\x04", 5, "memo entry 4 was never set");
  ExpectCorrupt("j\xff\xff\xff\xff", 2, "memo entry 4294967295 was never set");
}

TEST(PickleErrors, TellOfAKeyWithoutAValue) {
  ExpectCorrupt("}(Nu", 5, "SETITEMS with a key that has no value");
  ExpectCorrupt("}(NNNu", 7, "SETITEMS with a key that has no value");
}

TEST(PickleErrors, TellOfAKeyThatCannotBeHashed) {
  ExpectCorrupt("}]Ns", 5, "a dict key that cannot be hashed");
  ExpectCorrupt("}}Ns", 5, "a dict key that cannot be hashed");
  ExpectCorrupt("}(]\x85Nu", 7, "a dict key that cannot be hashed");
  ExpectCorrupt(Class("collections", "OrderedDict") + "](](]Nee\x85R", 36,
                "a dict key that cannot be hashed");
}

TEST(PickleErrors, TellOfTextThatIsNoUtf8) {
  ExpectCorrupt(Str("\xff"), 2, "a str that is no UTF-8");
  ExpectCorrupt("\x8c\x01\x80", 2, "a str that is no UTF-8");
  ExpectCorrupt(Str("\xc0\x80"), 2, "a str that is no UTF-8");
}

TEST(PickleErrors, TellOfCallsThatAreNone) {
  ExpectCorrupt("NNR", 4, "REDUCE with arguments in no tuple");
  ExpectCorrupt(Class("m", "f") + "]R", 8, "REDUCE with arguments in no tuple");
  ExpectCorrupt("N)R", 4, "a call of something that is no global");
  ExpectCorrupt(Str("f") + ")R", 9, "a call of something that is no global");
  ExpectCorrupt(Class("value", "v") + ")R", 12,
                "a call of value.v, which is no function");
  ExpectCorrupt(Class("value", "v") + ")\x81", 12,
                "an instance of value.v, which is no class");
  ExpectCorrupt("N)\x81", 4, "NEWOBJ without a class and a tuple");
  ExpectCorrupt(Class("m", "C") + "N\x81", 8,
                "NEWOBJ without a class and a tuple");
  ExpectCorrupt("NN\x93", 4, "a global whose name is no str");
  ExpectCorrupt(Str("m") + "N\x93", 9, "a global whose name is no str");
}

TEST(PickleErrors, TellOfCallsOfCallsInStrictMode) {
  EXPECT_THAT(StrictMeaning(Class("safe", "f") + ")R)R"),
              HasSubstr("a call of something that is no global"));
}

TEST(PickleErrors, TellOfArgumentsThatABuiltinDoesNotTake) {
  const auto refused = [](const char* module, const char* name,
                          const std::string& args) {
    EXPECT_THAT(Meaning(Class(module, name) + args + "R"),
                testing::AllOf(StartsWith("corrupt: p at "),
                               HasSubstr("arguments that "), HasSubstr(name),
                               HasSubstr(" does not take")))
        << name << testing::PrintToString(args);
  };
  const std::string latin1 = Str("latin1");
  refused("_codecs", "encode", ")");
  refused("_codecs", "encode", Str("a") + "\x85");
  refused("_codecs", "encode", Str("a") + Str("utf8") + "\x86");
  refused("_codecs", "encode", "N" + latin1 + "\x86");
  refused("_codecs", "encode", Str("a") + "N\x86");
  refused("_codecs", "encode", Str("\xe2\x82\xac") + latin1 + "\x86");
  refused("_codecs", "encode", Str("a") + latin1 + latin1 + "\x87");
  refused("__builtin__", "bytes", "N\x85");
  refused("__builtin__", "bytearray", "N\x85");
  refused("__builtin__", "bytearray", Int(5) + "\x85");
  refused("__builtin__", "bytearray", "NNN\x87");
  refused("__builtin__", "bytearray", "NN\x86");
  refused("__builtin__", "set", "N\x85");
  refused("__builtin__", "set", "]]\x86");
  refused("__builtin__", "set", "}\x85");
  refused("__builtin__", "frozenset", Str("ab") + "\x85");
  refused("__builtin__", "complex", ")");
  refused("__builtin__", "complex", Int(1) + "\x85");
  refused("__builtin__", "complex", Int(1) + "N\x86");
  refused("__builtin__", "complex", Str("1") + Int(1) + "\x86");
  refused("collections", "OrderedDict", "N\x85");
  refused("collections", "OrderedDict", "]]\x86");
  refused("collections", "OrderedDict", "]Na\x85");
  refused("collections", "OrderedDict", "]]a\x85");
  refused("collections", "OrderedDict", "])a\x85");
}

TEST(PickleErrors, TellOfPersistentIdsThatNobodyKnows) {
  class Refusing : public PlainSemantics {
    Result<Node> LoadPersistent(const Node&) override {
      return Status::NotFound("no such thing");
    }
  };
  Refusing semantics;
  const std::string code = Whole("NQ");
  EXPECT_THAT(Unpickle(std::as_bytes(std::span(code)), "p", semantics),
              StatusIs(StatusCode::kNotFound, "p at 3: no such thing"));
}

// CVE-2026-24747: item assignment on whatever is on the stack.
struct Target {
  const char* name;
  std::string code;
};

TEST(PickleErrors, RefuseToFillWhatIsNoContainer) {
  const Target kTargets[] = {
      {"None", "N"},
      {"an int", Int(1)},
      {"a float", "G\0\0\0\0\0\0\0\0"s},
      {"a str", Str("s")},
      {"bytes", "C\x01x"},
      {"a bytearray", "\x96\x01\0\0\0\0\0\0\0x"s},
      {"a tuple", ")"},
      {"a global", Class("m", "f")},
      {"a frozenset", "(\x91"},
      {"a known object", Class("safe", "C") + ")R"},
  };
  for (const Target& target : kTargets) {
    EXPECT_THAT(Meaning(target.code + "Na"),
                HasSubstr("APPEND to something that is no list"))
        << target.name;
    EXPECT_THAT(Meaning(target.code + "(NNe"),
                HasSubstr("APPEND to something that is no list"))
        << target.name;
    EXPECT_THAT(Meaning(target.code + "NNs"),
                HasSubstr("SETITEM on something that is no dict"))
        << target.name;
    EXPECT_THAT(Meaning(target.code + "(NNu"),
                HasSubstr("SETITEM on something that is no dict"))
        << target.name;
    EXPECT_THAT(Meaning(target.code + "(N\x90"),
                HasSubstr("ADDITEMS to something that is no set"))
        << target.name;
    EXPECT_THAT(Meaning(target.code + "}b"),
                HasSubstr("BUILD of something that takes no state"))
        << target.name;
  }
}

TEST(PickleErrors, RefuseToFillTheOtherKindOfContainer) {
  EXPECT_THAT(Meaning("]NNs"), HasSubstr("SETITEM on"));
  EXPECT_THAT(Meaning("](N\x90"), HasSubstr("ADDITEMS to"));
  EXPECT_THAT(Meaning("}Na"), HasSubstr("APPEND to"));
  EXPECT_THAT(Meaning("}(N\x90"), HasSubstr("ADDITEMS to"));
  EXPECT_THAT(Meaning("\x8fNa"), HasSubstr("APPEND to"));
  EXPECT_THAT(Meaning("\x8fNNs"), HasSubstr("SETITEM on"));
  for (const char* container : {"]", "}", "\x8f"}) {
    EXPECT_THAT(Meaning(std::string(container) + "}b"), HasSubstr("BUILD of"));
  }
}

TEST(PickleErrors, RefuseASecondOrForeignState) {
  const std::string dict = Class("collections", "OrderedDict") + ")R";
  EXPECT_THAT(Meaning(dict + "Nb"), HasSubstr("BUILD of an OrderedDict"));
  EXPECT_THAT(Meaning(dict + "]b"), HasSubstr("BUILD of an OrderedDict"));
  EXPECT_THAT(Meaning(dict + "}b}b"), HasSubstr("BUILD of an OrderedDict"));
  EXPECT_THAT(Meaning(Class("m", "C") + ")\x81}b}b"),
              HasSubstr("BUILD of something that takes no state, or twice"));
}

}  // namespace
}  // namespace caisson::pickle
