// SPDX-License-Identifier: Apache-2.0
//
// What was written is read as the same tree: the same values, and the same
// sharing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/base/state_walk.h"
#include "core/formats/pickle/pickler.h"
#include "core/formats/torch/torch_rules.h"
#include "tests/formats/pickle_code.h"
#include "tests/support/random_bytes.h"
#include "tests/support/status_matchers.h"

namespace caisson::pickle {
namespace {

using std::string_literals::operator""s;

std::string Pickled(const Node& node) {
  torch::TorchRules rules;
  Pickler pickler(rules);
  const auto bytes = pickler.Run(node);
  EXPECT_THAT(bytes, IsOk());
  if (!bytes) return "";
  return std::string(reinterpret_cast<const char*>(bytes->data()),
                     bytes->size());
}

Node RoundTrip(const Node& node) {
  const auto unpickled = UnpickleBytes(Pickled(node));
  EXPECT_THAT(unpickled, IsOk());
  return unpickled ? unpickled->root : Node();
}

Integer IntegerOf(const std::string& twos_complement) {
  return Integer::FromTwosComplement(std::as_bytes(std::span(twos_complement)));
}

// Numbers nodes that have an identity in pickle in order of appearance, so that
// equal texts mean equal sharing.
void DescribeSharing(const Node& node, std::map<const void*, int>& seen,
                     std::string& text) {
  if (node.none()) return;
  const auto [known, added] =
      seen.try_emplace(node.identity(), static_cast<int>(seen.size()));
  text += std::to_string(known->second) + " ";
  if (!added) return;
  ForEachChild(node.value(), [&](const Node& child) {
    const bool shared =
        child.As<List>() || child.As<Dict>() || child.As<Set>() ||
        child.As<Object>() || child.As<Bytes>() ||
        (child.As<Tuple>() && !child.As<Tuple>()->items.empty());
    if (shared) DescribeSharing(child, seen, text);
  });
}

std::string Sharing(const Node& node) {
  std::map<const void*, int> seen;
  std::string text;
  DescribeSharing(node, seen, text);
  return text;
}

// G4 of formats.md, Appendix A, made as its Python source is.
Node G4() {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  Node root = Dict();
  root["i"] =
      List{{0, 255, 256, 65535, 65536, -1, 2147483647, 2147483648, -2147483648,
            kMax, kMin, IntegerOf("\0\0\0\0\0\0\0\0\x01"s)}};
  root["f"] = 1.5;
  root["b"] = Tuple{{true, false, Node()}};
  root["s"] = "h\xc3\xa9";
  root["y"] = Bytes{"\0\xff"s};
  root["t4"] = Tuple{{1, 2, 3, 4}};
  root["t1"] = Tuple{{1}};
  root["t0"] = Tuple();
  root["d"] = Dict();
  root["l"] = List();
  return root;
}

// The data.pkl of G4, formats.md Appendix A.
constexpr std::string_view kG4Pickle =
    "80027d71002858010000006971015d7102284b004bff4d00014dffff4a000001004affff"
    "ffff4affffff7f8a0500000080004a000000808a08ffffffffffffff7f8a080000000000"
    "0000808a09000000000000000001655801000000667103473ff800000000000058010000"
    "0062710488894e8771055801000000737106580300000068c3a971075801000000797108"
    "635f636f646563730a656e636f64650a7109580300000000c3bf710a58060000006c6174"
    "696e31710b86710c52710d58020000007434710e284b014b024b034b0474710f58020000"
    "00743171104b018571115802000000743071122958010000006471137d71145801000000"
    "6c71155d7116752e";

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex.push_back("0123456789abcdef"[byte >> 4]);
    hex.push_back("0123456789abcdef"[byte & 15]);
  }
  return hex;
}

TEST(PickleRoundTrip, WritesG4ByteForByte) {
  EXPECT_EQ(Hex(Pickled(G4())), kG4Pickle);
}

TEST(PickleRoundTrip, KeepsEveryKindOfValue) {
  Dict ordered(/*is_ordered=*/true);
  ordered["a"] = List();
  ordered.attributes = Dict();
  ordered.attributes["_metadata"] = Tuple{{1}};
  Object object;
  object.made = Object::Made::kByClass;
  object.callable = Global{"m", "C"};
  object.args = Tuple{{Bytes{"x"}}};
  object.items = {1, 2, 3};
  object.entries.emplace_back("k", Node());
  object.has_state = true;
  object.state = Dict();
  Node nested = 1;
  for (int i = 0; i < 900; ++i) nested = List{{nested}};
  const Node kValues[] = {
      G4(),
      Node(),
      std::numeric_limits<double>::infinity(),
      -0.0,
      std::nan(""),
      5e-324,
      std::complex<double>(-0.0, 1e300),
      IntegerOf(std::string(254, '\x01') + '\x7f'),
      IntegerOf(std::string(300, '\x01') + '\x80'),
      "\xed\xa0\x80 and \xf0\x9f\x98\x80",
      std::string(70000, 'x'),
      Bytes(),
      Bytes{std::string(1000, '\xfe')},
      ByteArray(),
      ByteArray{"\0\x80"s},
      Set(),
      Set{{1, "a"}},
      Set{{Tuple{{1}}}, true},
      Global{"builtins", "int"},
      Global{"collections", "abc.Mapping"},
      ordered,
      object,
      nested,
  };
  for (const Node& value : kValues) {
    EXPECT_EQ(NodeText(RoundTrip(value)), NodeText(value));
    EXPECT_EQ(Pickled(RoundTrip(value)), Pickled(value)) << NodeText(value);
  }
}

TEST(PickleRoundTrip, KeepsEveryLengthOfContainer) {
  for (const size_t n : {0, 1, 2, 3, 4, 999, 1000, 1001, 2000, 2001}) {
    List list;
    Dict dict, ordered(/*is_ordered=*/true);
    for (size_t i = 0; i < n; ++i) {
      list.items.push_back(i);
      (void)dict.Set(i, "v");
      (void)ordered.Set(std::to_string(i), i);
    }
    for (const Node& value :
         {Node(list), Node(dict), Node(ordered), Node(Tuple{list.items})}) {
      EXPECT_EQ(NodeText(RoundTrip(value)), NodeText(value));
    }
  }
}

TEST(PickleRoundTrip, KeepsSharing) {
  const Node leaf = Tuple{{1, 2}};
  const Node list = List{{leaf, leaf}};
  const Node bytes = Bytes{"b"};
  Node root = Dict();
  root["a"] = list;
  root["b"] = List{{list, leaf, bytes, bytes, Tuple{{1, 2}}}};
  root["c"] = leaf;
  const Node copy = RoundTrip(root);
  EXPECT_EQ(NodeText(copy), NodeText(root));
  EXPECT_EQ(Sharing(copy), Sharing(root));
  Node bomb = Tuple{{1}};
  for (int i = 0; i < 60; ++i) bomb = Tuple{{bomb, bomb}};
  EXPECT_EQ(Sharing(RoundTrip(bomb)), Sharing(bomb));
}

// CPython has one object for most strs of one character. Regression: the text
// of such bytes was written as a str of its own, where torch.save refers to the
// one before it or is referred to by the one after it.
TEST(PickleRoundTrip, KeepsTheSharingOfTheTextOfBytes) {
  const std::string encode = Class("_codecs", "encode");
  for (const std::string& code :
       {"]" + Put(0) + "(" + Str("x") + Put(1) + encode + Put(2) + Get(1) +
            Str("latin1") + Put(3) + "\x86" + Put(4) + "R" + Put(5) + "e",
        "]" + Put(0) + "(" + encode + Put(1) + Str("x") + Put(2) +
            Str("latin1") + Put(3) + "\x86" + Put(4) + "R" + Put(5) + Get(2) +
            "e",
        "]" + Put(0) + "(" + Str("x") + Put(1) + encode + Put(2) + Str("x") +
            Put(3) + Str("latin1") + Put(4) + "\x86" + Put(5) + "R" + Put(6) +
            Get(1) + "e"}) {
    const auto unpickled = UnpickleBytes(Whole(code));
    ASSERT_THAT(unpickled, IsOk());
    EXPECT_EQ(Pickled(unpickled->root), Whole(code));
  }
  // Bytes that were changed since have a text of their own.
  Node root = List{{Bytes{"a", Text("x")}}};
  EXPECT_EQ(NodeText(RoundTrip(root)), NodeText(List{{Bytes{"a"}}}));
}

// A tree of random shape, with nodes taken again at random.
class RandomTree {
 public:
  explicit RandomTree(uint64_t seed) : random_(RandomBytes(20000, seed)) {}

  Node Make(int depth) {
    if (!made_.empty() && Draw(8) == 0) return made_[Draw(made_.size())];
    Node node = MakeNew(depth);
    made_.push_back(node);
    return node;
  }

 private:
  size_t Draw(size_t limit) {
    const auto high = static_cast<size_t>(random_[at_++ % random_.size()]);
    const auto low = static_cast<size_t>(random_[at_++ % random_.size()]);
    return (high << 8 | low) % limit;
  }

  std::vector<Node> Items(int depth) {
    std::vector<Node> items;
    for (size_t n = Draw(5); n > 0; --n) items.push_back(Make(depth - 1));
    return items;
  }

  Node MakeNew(int depth) {
    switch (Draw(depth > 0 ? 13 : 8)) {
      case 0:
        return Node();
      case 1:
        return Draw(2) == 1;
      case 2:
        return static_cast<int64_t>(Draw(65536)) - 32768;
      case 3:
        return IntegerOf(std::string(Draw(300), '\x7e'));
      case 4:
        return static_cast<double>(Draw(1000)) / 7;
      case 5:
        return std::string(Draw(20), 'a');
      case 6:
        return Bytes{std::string(Draw(4), '\xee')};
      case 7:
        return Global{"m", std::to_string(Draw(3))};
      case 8:
        return List{Items(depth)};
      case 9:
        return Tuple{Items(depth)};
      case 10:
        return Set{Items(depth), Draw(2) == 1};
      case 11: {
        Dict dict(Draw(2) == 1);
        for (size_t n = Draw(5); n > 0; --n) dict[std::to_string(n)] = Make(0);
        if (dict.ordered && Draw(2) == 1) dict.attributes = Dict();
        return dict;
      }
      default: {
        Object object;
        object.callable = Global{"m", "call"};
        object.args = Tuple{Items(depth)};
        object.items = Items(depth);
        object.has_state = Draw(2) == 1;
        object.state = object.has_state ? Make(depth - 1) : Node();
        return object;
      }
    }
  }

  const std::vector<std::byte> random_;
  size_t at_ = 0;
  std::vector<Node> made_;
};

TEST(PickleRoundTrip, KeepsRandomTreesAndTheirSharing) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Node root = List{{RandomTree(seed).Make(5)}};
    const Node copy = RoundTrip(root);
    ASSERT_EQ(NodeText(copy), NodeText(root)) << "seed " << seed;
    ASSERT_EQ(Sharing(copy), Sharing(root)) << "seed " << seed;
    ASSERT_EQ(Pickled(copy), Pickled(root)) << "seed " << seed;
  }
}

// Depth is limited alike: what can be written can be read.
TEST(PickleRoundTrip, KeepsTheDeepestNesting) {
  Node node = 1;
  for (size_t i = 1; i < kMaxDepth; ++i) node = List{{node}};
  EXPECT_EQ(NodeText(RoundTrip(node)), NodeText(node));
  torch::TorchRules rules;
  EXPECT_THAT(Pickler(rules).Run(List{{node}}),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace caisson::pickle
