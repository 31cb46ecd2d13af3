// SPDX-License-Identifier: Apache-2.0
#include "caisson/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/node_text.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

Integer TwoTo64() {
  const std::string bytes = "\0\0\0\0\0\0\0\0\x01"s;
  return Integer::FromTwosComplement(std::as_bytes(std::span(bytes)));
}

Set FrozenSetOf(std::vector<Node> items) { return Set{std::move(items), true}; }

TEST(State, IsBuiltByNamingWhatItHolds) {
  std::vector<float> data(6);
  State state;
  state["model"]["w"] = DenseTensor(DType::kFloat32, {2, 3}, data.data());
  state["optimizer"]["lr"] = 1e-3;
  state["step"] = 100;
  state["name"] = "run";
  state["amp"] = true;
  state["betas"] = Tuple{{0.9, 0.999}};
  state["none"];
  EXPECT_EQ(NodeText(state.root),
            "{'model': {'w': tensor float32[2,3] at 0 by [3,1] of a float32 "
            "storage of 24 bytes on cpu}, 'optimizer': {'lr': 0.001}, "
            "'step': 100, 'name': 'run', 'amp': True, 'betas': (0.9, 0.999), "
            "'none': None}");
}

TEST(State, AnswersWithWhatIsThere) {
  State state;
  state["a"]["b"] = 7;
  const Node* a = state.root.Find("a");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(a->Find("b"), nullptr);
  EXPECT_EQ(a->Find("b")->As<Integer>()->ToInt64(), 7);
  EXPECT_EQ(a->Find("c"), nullptr);
  EXPECT_EQ(a->Find("b")->Find("c"), nullptr) << "an int has no entries";
  EXPECT_EQ(a->Find("b")->As<Text>(), nullptr);
  EXPECT_EQ(a->Find("b")->AsStr(), nullptr);
  EXPECT_EQ(Node().As<Integer>(), nullptr);
}

TEST(Node, KeepsTheKindOfWhatItWasMadeFrom) {
  EXPECT_EQ(NodeText(Node()), "None");
  EXPECT_EQ(NodeText(Node(true)), "True");
  EXPECT_EQ(NodeText(Node(1)), "1");
  EXPECT_EQ(NodeText(Node(uint8_t{255})), "255");
  EXPECT_EQ(NodeText(Node(std::numeric_limits<int64_t>::min())),
            "-9223372036854775808");
  EXPECT_EQ(NodeText(Node(1.0)), "1.0");
  EXPECT_EQ(NodeText(Node("a'b")), "'a\\x27b'");
  EXPECT_EQ(NodeText(Node(std::complex<double>(1, -2))), "complex(1.0, -2.0)");
  EXPECT_EQ(NodeText(Node(Bytes{"\0"s})), "b'\\x00'");
  EXPECT_EQ(NodeText(Node(ByteArray{"x"})), "bytearray(b'x')");
  EXPECT_EQ(NodeText(Node(Global{"torch", "Size"})), "torch.Size");
  EXPECT_EQ(NodeText(Node(List{{1, Node()}})), "[1, None]");
  EXPECT_EQ(NodeText(Node(Tuple{{1}})), "(1,)");
  EXPECT_EQ(NodeText(Node(FrozenSetOf({1}))), "frozenset(1)");
  EXPECT_EQ(NodeText(Node(TwoTo64())), "18446744073709551616");
}

TEST(Node, CopiesNameTheSameObject) {
  Node list = List{{1}};
  const Node copy = list;
  EXPECT_TRUE(list.same(copy));
  list.As<List>()->items.push_back(2);
  EXPECT_EQ(NodeText(copy), "[1, 2]");
  EXPECT_FALSE(list.same(Node(List{{1, 2}})));
  EXPECT_TRUE(Node().same(Node()));
  EXPECT_FALSE(Node().same(list));
}

TEST(Node, SharesAnEntryUnderTwoKeys) {
  State state;
  state["ema"]["w"] = 1;
  const Node ema = state["ema"];  // the reference would not survive "model"
  state["model"] = ema;
  state["model"]["w"] = 2;
  EXPECT_EQ(NodeText(state.root), "{'ema': {'w': 2}, 'model': {'w': 2}}");
}

TEST(Dict, KeepsTheOrderOfInsertionAtEverySize) {
  for (size_t size = 0; size <= 2001; size += size < 20 ? 1 : 283) {
    Dict dict;
    for (size_t i = 0; i < size; ++i) {
      // Keys of mixed kinds, in no order of their own.
      const int64_t number = static_cast<int64_t>(i * 7919 % 10007);
      const Node key = i % 2 == 0 ? Node(number) : Node(std::to_string(number));
      CAISSON_ASSERT_OK(dict.Set(key, Node(i)));
    }
    ASSERT_EQ(dict.size(), size);
    for (size_t i = 0; i < size; ++i) {
      const Node& key = dict.entries()[i].first;
      const Node* value = dict.Find(key);
      ASSERT_EQ(value, &dict.entries()[i].second) << i << " of " << size;
      EXPECT_EQ(value->As<Integer>()->ToInt64(), static_cast<int64_t>(i));
    }
    EXPECT_EQ(dict.Find(Node("missing")), nullptr);
    EXPECT_EQ(dict.Find(Node(-1)), nullptr);
  }
}

TEST(Dict, ReplacesAValueInItsPlace) {
  for (const int size : {3, 8, 9, 10, 100}) {
    Dict dict;
    for (int i = 0; i < size; ++i) CAISSON_ASSERT_OK(dict.Set(i, 0));
    CAISSON_ASSERT_OK(dict.Set(1, "new"));
    CAISSON_ASSERT_OK(dict.Set(1.0, "newer"));
    EXPECT_EQ(dict.size(), static_cast<size_t>(size));
    EXPECT_EQ(NodeText(dict.entries()[1].first), "1") << "the key stays";
    EXPECT_EQ(NodeText(dict.entries()[1].second), "'newer'");
  }
}

TEST(Dict, MakesWhatSubscriptingMisses) {
  for (const int size : {0, 8, 9, 50}) {
    Dict dict;
    for (int i = 0; i < size; ++i) dict[std::to_string(i)] = i;
    dict["new"] = 1;
    EXPECT_EQ(dict.size(), static_cast<size_t>(size) + 1);
    dict["new"] = 2;
    EXPECT_EQ(dict.size(), static_cast<size_t>(size) + 1);
    EXPECT_EQ(NodeText(*dict.Find(Node("new"))), "2");
  }
}

TEST(Dict, IsEmptyAndUsableAfterClear) {
  Dict dict;
  for (int i = 0; i < 50; ++i) CAISSON_ASSERT_OK(dict.Set(i, i));
  dict.Clear();
  EXPECT_EQ(dict.size(), 0u);
  EXPECT_EQ(dict.Find(Node(1)), nullptr);
  for (int i = 0; i < 50; ++i) CAISSON_ASSERT_OK(dict.Set(i, -i));
  EXPECT_EQ(NodeText(*dict.Find(Node(49))), "-49");
}

TEST(Dict, CopiesAreIndependentButForTheirNodes) {
  Dict dict;
  for (int i = 0; i < 20; ++i) CAISSON_ASSERT_OK(dict.Set(i, List()));
  Dict copy = dict;
  CAISSON_ASSERT_OK(copy.Set(20, 1));
  EXPECT_EQ(dict.size(), 20u);
  EXPECT_EQ(copy.size(), 21u);
  copy.Find(Node(3))->same(*dict.Find(Node(3)));
  EXPECT_NE(copy.Find(Node(20)), nullptr);
  EXPECT_EQ(dict.Find(Node(20)), nullptr);
}

// Fills both a dict that is searched and one that is indexed.
template <class Use>
void WithSmallAndLargeDict(Use use) {
  for (const int others : {0, 100}) {
    Dict dict;
    for (int i = 0; i < others; ++i) {
      dict["other " + std::to_string(i)] = i;
    }
    use(dict);
  }
}

size_t KeysAmong(const std::vector<Node>& keys) {
  size_t small = 0;
  WithSmallAndLargeDict([&](Dict& dict) {
    const size_t before = dict.size();
    for (const Node& key : keys) {
      EXPECT_THAT(dict.Set(key, 0), IsOk()) << NodeText(key);
      EXPECT_NE(dict.Find(key), nullptr) << NodeText(key);
    }
    if (before == 0) small = dict.size();
    EXPECT_EQ(dict.size() - before, small) << "small and large dicts differ";
  });
  return small;
}

TEST(DictKeys, AreOneWhereNumbersAreEqual) {
  using Complex = std::complex<double>;
  EXPECT_EQ(KeysAmong({1, 1.0, true, Complex(1, 0), Complex(1, -0.0)}), 1u);
  EXPECT_EQ(KeysAmong({0, 0.0, -0.0, false, Complex(-0.0, 0)}), 1u);
  EXPECT_EQ(KeysAmong({-0x1p63, std::numeric_limits<int64_t>::min()}), 1u);
  EXPECT_EQ(KeysAmong({2.5, Node(2.5)}), 1u);
  EXPECT_EQ(KeysAmong({Complex(0.0, 1), Complex(-0.0, 1)}), 1u);
  EXPECT_EQ(KeysAmong({TwoTo64(), TwoTo64()}), 1u);
  EXPECT_EQ(KeysAmong({INFINITY, Node(INFINITY)}), 1u);
}

TEST(DictKeys, AreTwoWhereAnythingDiffers) {
  using Complex = std::complex<double>;
  EXPECT_EQ(KeysAmong({1, 2, 1.5, -1, "1", Node(), Complex(1, 1)}), 7u);
  EXPECT_EQ(KeysAmong({0x1p63, std::numeric_limits<int64_t>::max()}), 2u);
  EXPECT_EQ(KeysAmong({INFINITY, -INFINITY, 1e300}), 3u);
  EXPECT_EQ(KeysAmong({"a", Bytes{"a"}, Global{"", "a"}}), 3u);
  EXPECT_EQ(KeysAmong({"", Bytes{""}, Node(), 0, Tuple()}), 5u);
  EXPECT_EQ(KeysAmong({Tuple{{1, 2}}, Tuple{{2, 1}}, Tuple{{1}}}), 3u);
  EXPECT_EQ(KeysAmong({Tuple{{1}}, 1}), 2u);
  EXPECT_EQ(KeysAmong({Tuple{{"a"}}, FrozenSetOf({"a"})}), 2u);
  EXPECT_EQ(KeysAmong({Global{"a", "b"}, Global{"a.b", ""}}), 2u);
}

TEST(DictKeys, AreOneWhereContainersHoldEqualItems) {
  EXPECT_EQ(KeysAmong({Tuple{{1, "a"}}, Tuple{{1.0, "a"}}}), 1u);
  EXPECT_EQ(KeysAmong({Tuple(), Tuple()}), 1u);
  EXPECT_EQ(KeysAmong({FrozenSetOf({1, 2}), FrozenSetOf({true, 2.0})}), 1u);
  EXPECT_EQ(KeysAmong({Tuple{{Tuple{{Node()}}}}, Tuple{{Tuple{{Node()}}}}}),
            1u);
}

TEST(DictKeys, CompareCallsByWhatTheyCall) {
  const auto call = [](const char* name, std::vector<Node> args) {
    Object object;
    object.callable = Global{"torch", name};
    object.args = Tuple{std::move(args)};
    return Node(std::move(object));
  };
  EXPECT_EQ(KeysAmong({call("device", {"cpu"}), call("device", {"cpu"})}), 1u);
  EXPECT_EQ(KeysAmong({call("device", {"cpu"}), call("device", {"cuda"}),
                       call("Size", {"cpu"})}),
            3u);
  // With a state an object is equal to itself alone.
  Node a = call("device", {"cpu"});
  a.As<Object>()->has_state = true;
  Node b = call("device", {"cpu"});
  b.As<Object>()->has_state = true;
  EXPECT_EQ(KeysAmong({a, a, b}), 2u);
}

TEST(DictKeys, FindANanByItsIdentityAlone) {
  const Node nan = std::nan("");
  EXPECT_EQ(KeysAmong({nan, nan}), 1u);
  EXPECT_EQ(KeysAmong({nan, Node(std::nan("")), Node(std::nan(""))}), 3u);
  EXPECT_EQ(KeysAmong({Tuple{{nan}}, Tuple{{nan}}}), 1u);
  std::vector<Node> many;
  for (int i = 0; i < 50; ++i) many.push_back(std::nan(""));
  EXPECT_EQ(KeysAmong(many), 50u);
}

TEST(DictKeys, RefuseWhatCannotBeHashed) {
  WithSmallAndLargeDict([&](Dict& dict) {
    const size_t before = dict.size();
    for (const Node& key :
         {Node(List()), Node(Dict()), Node(Set()), Node(ByteArray()),
          Node(Tuple{{1, List()}}), Node(FrozenSetOf({Dict()}))}) {
      EXPECT_THAT(dict.Set(key, 0),
                  StatusIs(kInvalid, HasSubstr("cannot be hashed")))
          << NodeText(key);
      EXPECT_EQ(dict.Find(key), nullptr);
    }
    EXPECT_EQ(dict.size(), before);
  });
}

// Python hashes a tensor by its identity, which no file can keep.
TEST(DictKeys, RefuseTensors) {
  float value = 0;
  const TensorView tensor = DenseTensor(DType::kFloat32, {}, &value);
  Object parameter;
  parameter.callable = Global{"torch._utils", "_rebuild_parameter"};
  parameter.args = Tuple{{tensor, true, Node()}};
  WithSmallAndLargeDict([&](Dict& dict) {
    for (const Node& key :
         {Node(tensor), Node(tensor.storage), Node(Tuple{{1, tensor}}),
          Node(parameter), Node(Tuple{{Tuple{{parameter}}}})}) {
      EXPECT_THAT(dict.Set(key, 0),
                  StatusIs(kUnsupported, "a tensor as a dict key"));
      EXPECT_EQ(dict.Find(key), nullptr);
    }
  });
}

// Pairs (a, b) with b chosen so that all have the same hash: what a crafted
// file would do to make each entry cost a comparison with every other.
TEST(DictKeys, RefuseMoreThan64OfOneHash) {
  const auto pair = [](uint64_t a) {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
    const auto mix = [](uint64_t seed, uint64_t value) {
      return seed ^ (value + kGolden + (seed << 6) + (seed >> 2));
    };
    const uint64_t seed = mix(2, a);
    const uint64_t b = seed - kGolden - (seed << 6) - (seed >> 2);
    EXPECT_EQ(mix(seed, b), 0u);
    return Node(Tuple{{static_cast<int64_t>(a), static_cast<int64_t>(b)}});
  };
  Dict dict;
  Status status;
  uint64_t keys = 0;
  while (status.ok() && keys < 1000) status = dict.Set(pair(keys++), 0);
  EXPECT_THAT(status,
              StatusIs(kUnsupported, "more than 64 dict keys of one hash"));
  EXPECT_EQ(keys, 65u);
  EXPECT_EQ(dict.size(), 64u);
  EXPECT_NE(dict.Find(pair(63)), nullptr);
  CAISSON_EXPECT_OK(dict.Set(pair(63), 1)) << "it is there already";
  CAISSON_EXPECT_OK(dict.Set("other", 1));
}

TEST(DictKeys, RefuseMoreThan256Parts) {
  WithSmallAndLargeDict([](Dict& dict) {
    CAISSON_EXPECT_OK(dict.Set(Tuple{std::vector<Node>(255, Node())}, 0));
    EXPECT_THAT(dict.Set(Tuple{std::vector<Node>(256, Node())}, 0),
                StatusIs(kUnsupported, HasSubstr("more than 256 parts")));
    // 2^40 leaves through 40 nodes.
    Node shared = Tuple{{1, 1}};
    for (int i = 0; i < 40; ++i) shared = Tuple{{shared, shared}};
    EXPECT_THAT(dict.Set(shared, 0),
                StatusIs(kUnsupported, HasSubstr("more than 256 parts")));
    EXPECT_EQ(dict.Find(shared), nullptr);
  });
}

// Unlike a str, bytes do not keep their hash, so that a large key named again
// and again would cost its size each time.
TEST(DictKeys, RefuseBytesBeyond64KiB) {
  WithSmallAndLargeDict([](Dict& dict) {
    CAISSON_EXPECT_OK(dict.Set(Bytes{std::string(65000, 'x')}, 0));
    EXPECT_THAT(dict.Set(Bytes{std::string(66000, 'x')}, 0),
                StatusIs(kUnsupported, HasSubstr("more than 256 parts")));
    EXPECT_THAT(dict.Set(Global{"m", std::string(66000, 'x')}, 0),
                StatusIs(kUnsupported));
    CAISSON_EXPECT_OK(dict.Set(std::string(1000000, 'x'), 0));
  });
}

TEST(Object, NamesItsCallable) {
  Object object;
  EXPECT_EQ(object.global(), Global());
  object.callable = Global{"torch", "Size"};
  EXPECT_EQ(object.global().dotted(), "torch.Size");
  object.callable = "text";
  EXPECT_EQ(object.global(), Global());
}

TEST(Profile, NamesTheLayoutsOfTorch) {
  const Profile now = Profile::Torch2_7();
  EXPECT_EQ(now, Profile());
  EXPECT_TRUE(now.format_version && now.storage_alignment && now.byteorder &&
              now.serialization_id && now.numeric_order && now.crc32);
  EXPECT_EQ(now.alignment, 64u);
  const Profile torch_2_6 = Profile::Torch2_6();
  EXPECT_TRUE(torch_2_6.byteorder && torch_2_6.serialization_id);
  EXPECT_FALSE(torch_2_6.format_version || torch_2_6.storage_alignment ||
               torch_2_6.numeric_order);
  const Profile torch_1_13 = Profile::Torch1_13();
  EXPECT_FALSE(torch_1_13.byteorder || torch_1_13.serialization_id ||
               torch_1_13.format_version || torch_1_13.numeric_order);
  EXPECT_NE(torch_2_6, torch_1_13);
}

}  // namespace
}  // namespace caisson
