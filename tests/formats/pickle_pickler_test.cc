// SPDX-License-Identifier: Apache-2.0
//
// The opcodes that the writer emits are those of CPython's C pickler, protocol
// 2: formats.md 2.1 to 2.3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/pickle/pickler.h"
#include "tests/formats/pickle_code.h"
#include "tests/support/sha256.h"
#include "tests/support/status_matchers.h"

namespace caisson::pickle {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

// Refuses everything that is not plain Python.
class PlainRules : public ReduceRules {
 public:
  Status EmitStorage(const StorageHandle&, Pickler&) override {
    return Status::InvalidArgument("a storage");
  }
  Status EmitTensor(const TensorView&, Pickler&) override {
    return Status::InvalidArgument("a tensor");
  }
  Result<bool> EmitArgs(const Object&, Pickler&) override { return false; }
};

Result<std::string> Pickled(const Node& node) {
  PlainRules rules;
  Pickler pickler(rules);
  const auto bytes = pickler.Run(node);
  if (!bytes) return bytes.error();
  return std::string(reinterpret_cast<const char*>(bytes->data()),
                     bytes->size());
}

// `node` is written as Whole(code).
void ExpectCode(const Node& node, const std::string& code) {
  EXPECT_THAT(Pickled(node), IsOkAndHolds(Whole(code))) << NodeText(node);
}

Integer IntegerOf(const std::string& twos_complement) {
  return Integer::FromTwosComplement(std::as_bytes(std::span(twos_complement)));
}

TEST(Pickler, WritesConstants) {
  ExpectCode(Node(), "N");
  ExpectCode(true, "\x88");
  ExpectCode(false, "\x89");
}

TEST(Pickler, WritesEachIntegerInItsShortestForm) {
  ExpectCode(0, "K\0"s);
  ExpectCode(255, "K\xff");
  ExpectCode(256, "M\x00\x01"s);
  ExpectCode(65535, "M\xff\xff");
  ExpectCode(65536, "J\x00\x00\x01\x00"s);
  ExpectCode(-1, "J\xff\xff\xff\xff");
  ExpectCode(2147483647, "J\xff\xff\xff\x7f");
  ExpectCode(-2147483648, "J\x00\x00\x00\x80"s);
  ExpectCode(2147483648, "\x8a\x05\x00\x00\x00\x80\x00"s);
  ExpectCode(-2147483649, "\x8a\x05\xff\xff\xff\x7f\xff");
  ExpectCode(std::numeric_limits<int64_t>::max(),
             "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f");
  ExpectCode(std::numeric_limits<int64_t>::min(),
             "\x8a\x08\0\0\0\0\0\0\0\x80"s);
  ExpectCode(IntegerOf("\0\0\0\0\0\0\0\0\x01"s),
             "\x8a\x09\0\0\0\0\0\0\0\0\x01"s);
}

TEST(Pickler, WritesIntegersBeyond255BytesWithALongerCount) {
  const std::string longest = std::string(254, '\x55') + '\x7f';
  ExpectCode(IntegerOf(longest), "\x8a\xff" + longest);
  const std::string longer = std::string(255, '\x55') + '\x7f';
  ExpectCode(IntegerOf(longer), "\x8b\x00\x01\x00\x00"s + longer);
  const std::string long300 = std::string(299, '\xaa') + '\x80';
  ExpectCode(IntegerOf(long300), "\x8b\x2c\x01\x00\x00"s + long300);
}

TEST(Pickler, WritesFloatsBigEndian) {
  ExpectCode(1.5, "G\x3f\xf8\0\0\0\0\0\0"s);
  ExpectCode(-0.0, "G\x80\0\0\0\0\0\0\0"s);
  ExpectCode(std::numeric_limits<double>::infinity(), "G\x7f\xf0\0\0\0\0\0\0"s);
  ExpectCode(std::nan(""), "G\x7f\xf8\0\0\0\0\0\0"s);
  ExpectCode(5e-324, "G\0\0\0\0\0\0\0\x01"s);
}

TEST(Pickler, WritesTextWithItsMemo) {
  ExpectCode("h\xc3\xa9", "X\x03\0\0\0h\xc3\xa9q\0"s);
  ExpectCode("", "X\0\0\0\0q\0"s);
  ExpectCode("\xed\xb2\x80", "X\x03\0\0\0\xed\xb2\x80q\0"s);
}

TEST(Pickler, WritesTheSameTextOnceAndEqualTextsEach) {
  const Text text = "a";
  const Node node = text;
  ExpectCode(List{{node, node, Node(text)}},
             "]" + Put(0) + "(" + Str("a") + Put(1) + Get(1) + Get(1) + "e");
  ExpectCode(List{{"a", "a"}},
             "]" + Put(0) + "(" + Str("a") + Put(1) + Str("a") + Put(2) + "e");
}

TEST(Pickler, WritesTuples) {
  ExpectCode(Tuple(), ")");
  ExpectCode(Tuple{{1}}, Int(1) + "\x85" + Put(0));
  ExpectCode(Tuple{{1, 2}}, Int(1) + Int(2) + "\x86" + Put(0));
  ExpectCode(Tuple{{1, 2, 3}}, Int(1) + Int(2) + Int(3) + "\x87" + Put(0));
  ExpectCode(Tuple{{1, 2, 3, 4}},
             "(" + Int(1) + Int(2) + Int(3) + Int(4) + "t" + Put(0));
}

// Sharing is by identity; the empty tuple and numbers have none.
TEST(Pickler, RefersBackToWhatItWroteBefore) {
  const auto expect_reference = [](const Node& node, const std::string& code,
                                   uint32_t index) {
    std::string both = "]" + Put(0) + "(";
    both.append(code).append(Get(index)).append("e");
    ExpectCode(List{{node, node}}, both);
  };
  expect_reference(List(), "]" + Put(1), 1);
  expect_reference(Dict(), "}" + Put(1), 1);
  expect_reference(Tuple{{1}}, Int(1) + "\x85" + Put(1), 1);
  expect_reference(Dict(true),
                   Class("collections", "OrderedDict") + Put(1) + ")R" + Put(2),
                   2);
  const Node empty = Tuple();
  ExpectCode(List{{empty, empty}}, "]" + Put(0) + "())e");
  const Node number = 7;
  ExpectCode(List{{number, number}}, "]" + Put(0) + "(K\x07K\x07" + "e");
}

TEST(Pickler, WritesGlobalsOnceUnderTheirPython2Names) {
  const Global global{"torch", "float32"};
  ExpectCode(
      List{{global, global}},
      "]" + Put(0) + "(" + Class("torch", "float32") + Put(1) + Get(1) + "e");
  ExpectCode(Global{"builtins", "set"}, Class("__builtin__", "set") + Put(0));
  ExpectCode(Global{"copyreg", "f"}, Class("copy_reg", "f") + Put(0));
}

TEST(Pickler, WritesBytesAsACallThatEncodesText) {
  const std::string encode = Class("_codecs", "encode") + Put(1);
  ExpectCode(List{{Bytes{"\xff"}, Bytes{"a"}}},
             "]" + Put(0) + "(" + encode + Str("\xc3\xbf") + Put(2) +
                 Str("latin1") + Put(3) + "\x86" + Put(4) + "R" + Put(5) +
                 Get(1) + Str("a") + Put(6) + Get(3) + "\x86" + Put(7) + "R" +
                 Put(8) + "e");
  ExpectCode(Bytes(), Class("__builtin__", "bytes") + Put(0) + ")R" + Put(1));
}

TEST(Pickler, WritesByteArraysOverBytes) {
  ExpectCode(ByteArray{"x"}, Class("__builtin__", "bytearray") + Put(0) +
                                 Class("_codecs", "encode") + Put(1) +
                                 Str("x") + Put(2) + Str("latin1") + Put(3) +
                                 "\x86" + Put(4) + "R" + Put(5) + "\x85" +
                                 Put(6) + "R" + Put(7));
  ExpectCode(ByteArray(),
             Class("__builtin__", "bytearray") + Put(0) + ")R" + Put(1));
}

TEST(Pickler, WritesSetsOverLists) {
  ExpectCode(Set{{1, 2}}, Class("__builtin__", "set") + Put(0) + "]" + Put(1) +
                              "(" + Int(1) + Int(2) + "e\x85" + Put(2) + "R" +
                              Put(3));
  ExpectCode(Set{{1}, true}, Class("__builtin__", "frozenset") + Put(0) + "]" +
                                 Put(1) + Int(1) + "a\x85" + Put(2) + "R" +
                                 Put(3));
}

TEST(Pickler, WritesComplexNumbersAsCalls) {
  ExpectCode(std::complex<double>(1, -2),
             Class("__builtin__", "complex") + Put(0) +
                 "G\x3f\xf0\0\0\0\0\0\0"s + "G\xc0\0\0\0\0\0\0\0"s + "\x86" +
                 Put(1) + "R" + Put(2));
}

TEST(Pickler, WritesTheAttributesOfAnOrderedDict) {
  Dict dict(/*is_ordered=*/true);
  dict.attributes = Dict();
  dict.attributes["a"] = 1;
  ExpectCode(dict, Class("collections", "OrderedDict") + Put(0) + ")R" +
                       Put(1) + "}" + Put(2) + Str("a") + Put(3) + Int(1) +
                       "sb");
}

TEST(Pickler, WritesObjectsWithAllThatTheyHold) {
  Object object;
  object.made = Object::Made::kByClass;
  object.callable = Global{"m", "C"};
  object.args = Tuple{{1}};
  object.items = {2, 3};
  object.entries.emplace_back(4, 5);
  object.has_state = true;
  ExpectCode(object, Class("m", "C") + Put(0) + Int(1) + "\x85" + Put(1) +
                         "\x81" + Put(2) + "(" + Int(2) + Int(3) + "e" +
                         Int(4) + Int(5) + "sNb");
  object.made = Object::Made::kByCall;
  object.items.clear();
  object.has_state = false;
  ExpectCode(object, Class("m", "C") + Put(0) + Int(1) + "\x85" + Put(1) + "R" +
                         Put(2) + Int(4) + Int(5) + "s");
}

// The groups of `n` Nones in a list, formats.md 2.2.
std::string ListGroups(size_t n) {
  if (n == 1) return "Na";
  std::string code;
  for (; n > 0; n -= std::min<size_t>(n, 1000)) {
    code += "(" + Repeated("N", std::min<size_t>(n, 1000)) + "e";
  }
  return code;
}

std::string Pairs(size_t first, size_t last) {
  std::string code;
  for (size_t i = first; i < last; ++i) {
    code += i < 256 ? Op('K', static_cast<uint8_t>(i))
                    : Op('M', static_cast<uint16_t>(i));
    code += "N";
  }
  return code;
}

// Those of a dict {0: None, ...}: an exact multiple of 1000 is followed by an
// empty group.
std::string DictGroups(size_t n) {
  if (n == 0) return "";
  if (n == 1) return Pairs(0, 1) + "s";
  std::string code;
  for (size_t first = 0; first <= n; first += 1000) {
    code += "(" + Pairs(first, std::min(first + 1000, n)) + "u";
  }
  return code;
}

// Those of an OrderedDict: a last group of one has no mark.
std::string OrderedGroups(size_t n) {
  std::string code;
  for (size_t first = 0; first < n; first += 1000) {
    const size_t last = std::min(first + 1000, n);
    if (last - first == 1) {
      code += Pairs(first, last) + "s";
    } else {
      code += "(" + Pairs(first, last) + "u";
    }
  }
  return code;
}

Dict NoneDict(size_t n, bool ordered) {
  Dict dict(ordered);
  for (size_t i = 0; i < n; ++i) (void)dict.Set(i, Node());
  return dict;
}

TEST(Pickler, WritesListsInBatches) {
  for (const size_t n : {0, 1, 2, 999, 1000, 1001, 2000, 2001}) {
    ExpectCode(List{std::vector<Node>(n)}, "]" + Put(0) + ListGroups(n));
    ExpectCode(Set{std::vector<Node>(n)}, Class("__builtin__", "set") + Put(0) +
                                              "]" + Put(1) + ListGroups(n) +
                                              "\x85" + Put(2) + "R" + Put(3));
  }
}

TEST(Pickler, WritesDictsInBatchesOfAnotherKind) {
  for (const size_t n : {0, 1, 2, 999, 1000, 1001, 2000, 2001}) {
    ExpectCode(NoneDict(n, false), "}" + Put(0) + DictGroups(n));
  }
}

TEST(Pickler, WritesOrderedDictsInBatchesOfAThirdKind) {
  for (const size_t n : {0, 1, 2, 999, 1000, 1001, 2000, 2001}) {
    ExpectCode(NoneDict(n, true), Class("collections", "OrderedDict") + Put(0) +
                                      ")R" + Put(1) + OrderedGroups(n));
  }
}

struct Golden {
  size_t items;
  std::string_view list, dict, ordered;
};

// pickle.dumps(x, 2) of [None] * n, {i: None for i in range(n)} and
// OrderedDict of the same, by CPython 3.11.7.
constexpr Golden kGolden[] = {
    {0, "a4f82e84e67aa7b6f1c1c917b333fe0fc57973b55e4d42202c8e3c39447bd060",
     "ad2598304a8af697d0c335a50a3e5a1ba06c82d9b63ef5f9d3e730b54cf9148a",
     "f415ed8a5f5414778834b70e68576b4cb1004836b3d1c11c0081e680872fd89e"},
    {1, "15943db9011ff6c7c8f8127fc53b95a92e7b742a1502c9d7002c3348597f6998",
     "269269eb742c49fe1d65f4492ed2d5207275bec67bcb9be3ed45a78950bdd319",
     "7a425a904abf0bf336ee215bd2af2873f9b1396ea0491caa94c48eead4e87a86"},
    {2, "ab768d2685197687caa428ea99167c991115d2a70301e6f3aa90fd96f5ab6d2b",
     "770e0381cc9cf98f7618dea381588b418987a48cda602e96d9f7c1f5bb243769",
     "a34e60b409022267befd579347b640d3751ea1eec3fd14d66827fbef46580c32"},
    {999, "7c34e431a07839d46322c0e376c77d534aa8b180dac4157a15f9c58efd21b17d",
     "27d9a198a15fc79b29fa734ff993255abfb3f588fffda20fc0f6e8e1b862aa6a",
     "b660674338230af05a45867eb7bd75b5cced0ab895655764e31d29a399347276"},
    {1000, "ee82e94f4553e3978b9e5a98486906fcc58ae028dc4e71727830af8553485c39",
     "c1e26b51445ea1591d7d7c2a87527008361f39e7a919cd627d4331a1ff4a4c1a",
     "7df8e06cac71b27f1deb99381f352abafef324f2a147cbc1057e68bc95b5ac09"},
    {1001, "9109e37a17e57c5ffda10fb40e3bd49c06620390ff5b76f7af889dfd537a07d7",
     "d83b111763c6168f00cf6ff8e154c2fba05e5f5b92bddbd74d18b7d3b5070787",
     "d15cf584f52f1a9d0c44002313ddb725e3074851652f9830615f4ffbc6f0b96f"},
    {2000, "01689b9cfd1a99ad3c93ee3eb5e2d2886c9d273c0530baf33713343f0deb9075",
     "fe9b00bcfa869c6670d1c08af4ea0d8236274936373eff9ec0b5a4a77538c252",
     "b9d4699af6dd2a976a1bb7b73c73342dd3cb262db049af6c9a809e15e5261f5b"},
    {2001, "e2ee8840045e4dbe817f8861a4879afad7de003ee394a36c681e1be7a1c44f97",
     "0500deb000e73dc9da765b6370058eff2622fef99ea84c3a39d39b93f6efb118",
     "2c5dab5955cf91558006ac5f0694af072652c7c275ab012771041fb8a78168a5"},
};

TEST(Pickler, WritesTheBatchesOfCPythonByteForByte) {
  for (const Golden& golden : kGolden) {
    const auto sum = [](const Node& node) {
      const auto pickle = Pickled(node);
      return pickle ? Sha256(*pickle) : pickle.error().ToString();
    };
    EXPECT_EQ(sum(List{std::vector<Node>(golden.items)}), golden.list);
    EXPECT_EQ(sum(NoneDict(golden.items, false)), golden.dict);
    EXPECT_EQ(sum(NoneDict(golden.items, true)), golden.ordered);
  }
}

TEST(Pickler, SwitchesToWideMemoIndicesAfter256) {
  List list;
  std::string code = "]" + Put(0) + "(";
  for (uint32_t i = 0; i < 300; ++i) {
    const std::string name = std::to_string(i);
    list.items.push_back(name);
    code += Str(name) + Put(i + 1);
  }
  for (uint32_t i = 0; i < 300; ++i) {
    const Node again = list.items[i];
    list.items.push_back(again);
    code += Get(i + 1);
  }
  ExpectCode(list, code + "e");
  EXPECT_THAT(Put(255), HasSubstr("q"));
  EXPECT_EQ(Put(256), "r\0\x01\0\0"s);
  EXPECT_EQ(Get(256), "j\0\x01\0\0"s);
}

TEST(Pickler, RefusesWhatNoPickleHolds) {
  EXPECT_THAT(Pickled("\xff"), StatusIs(kInvalid, HasSubstr("no UTF-8")));
  EXPECT_THAT(Pickled(Dict()), IsOk());
  Dict dict(/*is_ordered=*/true);
  dict.attributes = List();
  EXPECT_THAT(Pickled(dict), StatusIs(kInvalid, HasSubstr("in no dict")));
  EXPECT_THAT(Pickled(Object()),
              StatusIs(kInvalid, HasSubstr("without a callable")));
  Object object;
  object.callable = Global{"m", "f"};
  EXPECT_THAT(Pickled(object),
              StatusIs(kInvalid, HasSubstr("tuple of arguments")));
  Node cycle = List();
  cycle.As<List>()->items = {cycle};
  EXPECT_THAT(Pickled(cycle), StatusIs(kInvalid, HasSubstr("itself")));
  cycle.As<List>()->items.clear();
}

// STACK_GLOBAL can give a global any name; written as two lines, what follows
// the break would be opcodes.
TEST(Pickler, RefusesGlobalsThatWouldSmuggleOpcodes) {
  EXPECT_THAT(Pickled(Global{"m\n", "f"}),
              StatusIs(kInvalid, HasSubstr("a line break")));
  EXPECT_THAT(Pickled(Global{"m", "f\nq\0)R"s}),
              StatusIs(kInvalid, HasSubstr("a line break")));
}

}  // namespace
}  // namespace caisson::pickle
