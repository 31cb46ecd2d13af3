// SPDX-License-Identifier: Apache-2.0
//
// The names of tensors: State::Tensors(), StepOf() and Join().
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caisson/state.h"
#include "tests/support/allocation_meter.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;

TensorView Tensor() {
  static float value = 0;
  return DenseTensor(DType::kFloat32, {}, &value);
}

Object CallOf(const char* module, const char* name, std::vector<Node> args) {
  Object object;
  object.callable = Global{module, name};
  object.args = Tuple{std::move(args)};
  return object;
}

std::vector<std::string> NamesIn(const Node& root) {
  State state;
  state.root = root;
  const auto tensors = state.Tensors();
  if (!tensors) return {tensors.error().ToString()};
  std::vector<std::string> names;
  for (const NamedTensor& tensor : *tensors) names.push_back(Join(tensor.path));
  return names;
}

// Under the key "t".
std::vector<std::string> NamesOf(const Node& value) {
  Node root = Dict();
  root["t"] = value;
  return NamesIn(root);
}

TEST(Join, PutsDotsBetweenSteps) {
  EXPECT_EQ(Join({}), "");
  EXPECT_EQ(Join({"a"}), "a");
  EXPECT_EQ(Join({"a", int64_t{-3}, "", "b.c"}), "a.-3..b.c");
}

TEST(StepOf, KeepsStrsAndIntsAndWritesTheRest) {
  EXPECT_EQ(StepOf("a.b"), PathStep("a.b"));
  EXPECT_EQ(StepOf(-3), PathStep(int64_t{-3}));
  EXPECT_EQ(StepOf(UINT64_MAX), PathStep("18446744073709551615"));
  EXPECT_EQ(StepOf(true), PathStep("True"));
  EXPECT_EQ(StepOf(Node()), PathStep("None"));
  EXPECT_EQ(StepOf(Tuple{{1, "x"}}), PathStep("(1, x)"));
}

TEST(StateTensors, AreNamedInOrderOfAppearance) {
  State state;
  state["b"]["w"] = Tensor();
  state["a"] = List{{Tensor(), 1, Tuple{{Node(), Tensor()}}, Set{{2}}}};
  state["c"] = 1.5;
  EXPECT_THAT(NamesIn(state.root), ElementsAre("b.w", "a.0", "a.2.1"));
  const auto tensors = state.Tensors();
  CAISSON_ASSERT_OK(tensors);
  EXPECT_EQ((*tensors)[1].path, (Path{"a", int64_t{0}}));
  EXPECT_EQ((*tensors)[1].view,
            state["a"].As<List>()->items[0].As<TensorView>());
}

TEST(StateTensors, MayStandAtTheRootOrNowhere) {
  EXPECT_THAT(NamesIn(Tensor()), ElementsAre(""));
  EXPECT_THAT(NamesIn(Node()), IsEmpty());
  EXPECT_THAT(NamesIn(5), IsEmpty());
}

TEST(StateTensors, AreNamedByKeysOfEveryKind) {
  Node root = Dict();
  const auto set = [&](const Node& key) {
    ASSERT_THAT(root.As<Dict>()->Set(key, Tensor()), IsOk());
  };
  set("a.b");
  set(7);
  set(Node(true));
  set(2.5);
  set(Node());
  set(Bytes{"x"});
  set(Global{"torch", "float32"});
  set(Tuple{{1, Tuple{{"y"}}}});
  set(Set{{}, true});
  EXPECT_THAT(NamesIn(root), ElementsAre("a.b", "7", "True", "2.5", "None", "x",
                                         "torch.float32", "(1, (y))", "set()"));
}

// Paths differ where names do not; Reader::Find() reports those.
TEST(StateTensors, KeepPathsApartWhoseNamesAreEqual) {
  State state;
  state["a.b"] = Tensor();
  state["a"]["b"] = Tensor();
  state["n"] = Dict();
  CAISSON_ASSERT_OK(state["n"].As<Dict>()->Set(1, Tensor()));
  CAISSON_ASSERT_OK(state["n"].As<Dict>()->Set("1", Tensor()));
  const auto tensors = state.Tensors();
  CAISSON_ASSERT_OK(tensors);
  ASSERT_EQ(tensors->size(), 4u);
  EXPECT_EQ(Join((*tensors)[0].path), Join((*tensors)[1].path));
  EXPECT_NE((*tensors)[0].path, (*tensors)[1].path);
  EXPECT_EQ(Join((*tensors)[2].path), Join((*tensors)[3].path));
  EXPECT_NE((*tensors)[2].path, (*tensors)[3].path);
}

TEST(StateTensors, AppearUnderEachOfTheirPaths) {
  State state;
  const Node w = Tensor();
  Node ema = Dict();
  ema["w"] = w;
  state["ema"] = ema;
  state["model"] = ema;
  state["tied"] = w;
  const auto tensors = state.Tensors();
  CAISSON_ASSERT_OK(tensors);
  EXPECT_THAT(NamesIn(state.root), ElementsAre("ema.w", "model.w", "tied"));
  EXPECT_EQ((*tensors)[0].view, (*tensors)[2].view);
}

TEST(StateTensors, StandInTheAttributesOfAnOrderedDict) {
  Dict dict(/*is_ordered=*/true);
  dict["w"] = Tensor();
  dict.attributes = Dict();
  dict.attributes["extra"] = Tensor();
  EXPECT_THAT(NamesOf(dict), ElementsAre("t.w", "t._attributes.extra"));
}

TEST(StateTensors, HideTheCallsThatWrapThem) {
  EXPECT_THAT(NamesOf(CallOf("torch._utils", "_rebuild_parameter",
                             {Tensor(), true, Dict(true)})),
              ElementsAre("t"));
  Node attributes = Dict();
  attributes["scale"] = Tensor();
  EXPECT_THAT(NamesOf(CallOf("torch._utils", "_rebuild_parameter_with_state",
                             {Tensor(), true, Dict(true), attributes})),
              ElementsAre("t", "t.state.scale"));
  EXPECT_THAT(
      NamesOf(CallOf("torch._tensor", "_rebuild_from_type_v2",
                     {Global{"torch._utils", "_rebuild_tensor_v2"},
                      Global{"torch", "Tensor"}, Tensor(), attributes})),
      ElementsAre("t", "t.state.scale"));
  EXPECT_THAT(
      NamesOf(CallOf("torch._utils", "_rebuild_device_tensor_from_cpu_tensor",
                     {Tensor(), Global{"torch", "float32"}, "xla:0", false})),
      ElementsAre("t"));
}

TEST(StateTensors, NameThePartsOfQuantisedAndNestedTensors) {
  const Tuple per_channel{
      {Global{"torch", "per_channel_affine"}, Tensor(), Tensor(), 0}};
  EXPECT_THAT(NamesOf(CallOf("torch._utils", "_rebuild_qtensor",
                             {Tensor(), per_channel, false, Dict(true)})),
              ElementsAre("t", "t.quantizer.1", "t.quantizer.2"));
  EXPECT_THAT(
      NamesOf(CallOf("torch._utils", "_rebuild_nested_tensor",
                     {Tensor(), Tensor(), Tensor(), Tensor()})),
      ElementsAre("t.buffer", "t.sizes", "t.strides", "t.storage_offsets"));
}

TEST(StateTensors, NameThePartsOfSparseTensors) {
  const Object layout =
      CallOf("torch.serialization", "_get_layout", {"torch.sparse_coo"});
  const Object size = CallOf("torch", "Size", {Tuple{{2, 3}}});
  const auto sparse = [&](std::vector<Node> data) {
    return NamesOf(CallOf("torch._utils", "_rebuild_sparse_tensor",
                          {layout, Tuple{std::move(data)}}));
  };
  EXPECT_THAT(sparse({Tensor(), Tensor(), size}),
              ElementsAre("t.indices", "t.values"));
  EXPECT_THAT(sparse({Tensor(), Tensor(), size, true}),
              ElementsAre("t.indices", "t.values"));
  EXPECT_THAT(
      sparse({Tensor(), Tensor(), Tensor(), size}),
      ElementsAre("t.compressed_indices", "t.plain_indices", "t.values"));
}

TEST(StateTensors, NameThePartsOfUnknownCallsByPosition) {
  Object object = CallOf("my", "Thing", {1, Tensor()});
  object.items = {Tensor()};
  object.entries.emplace_back("k", Tensor());
  object.has_state = true;
  object.state = Dict();
  object.state["s"] = Tensor();
  EXPECT_THAT(NamesOf(object), ElementsAre("t.1", "t.0", "t.k", "t.s"));
  object.has_state = false;
  EXPECT_THAT(NamesOf(object), ElementsAre("t.1", "t.0", "t.k"));
}

TEST(StateTensors, RefuseCyclesAndDeepNesting) {
  Node list = List();
  list.As<List>()->items = {list};
  EXPECT_THAT(NamesIn(list), ElementsAre(HasSubstr("holds itself")));
  list.As<List>()->items.clear();
  Node deep = Tensor();
  for (size_t i = 0; i < kMaxDepth; ++i) deep = Tuple{{deep}};
  EXPECT_THAT(NamesIn(deep), ElementsAre(HasSubstr("nested deeper")));
}

TEST(StateTensors, AreFoundAtTheDeepestNesting) {
  Node deep = Tensor();
  for (size_t i = 1; i < kMaxDepth; ++i) deep = Tuple{{deep}};
  const std::vector<std::string> names = NamesIn(deep);
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].size(), 2 * (kMaxDepth - 1) - 1);
}

// 60 nodes, 2^60 paths.
TEST(StateTensors, BoundWhatSharingUnfoldsTo) {
  for (const Node& leaf : {Node(Tensor()), Node(1), Node(Tuple())}) {
    Node node = leaf;
    for (int i = 0; i < 60; ++i) node = Tuple{{node, node}};
    const AllocationMeter meter;
    EXPECT_THAT(NamesIn(node), ElementsAre(HasSubstr("unfold")));
    EXPECT_LT(meter.PeakBytes(), size_t{4} << 20);
  }
}

TEST(StateTensors, MayHaveLongNames) {
  Node root = Dict();
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back(std::string(100000, static_cast<char>('a' + i)));
    root[keys.back()] = i % 2 == 0 ? Node(Tensor()) : Node(i);
  }
  EXPECT_EQ(NamesIn(root).size(), 10u);
}

// Each of these would cost its size for every few bytes of a pickle.
TEST(StateTensors, BoundTheTextOfSharedKeys) {
  const Node text = std::string(1000000, 'x');
  List dicts;
  for (int i = 0; i < 1000; ++i) {
    Dict dict;
    CAISSON_ASSERT_OK(dict.Set(text, Tensor()));
    dicts.items.push_back(std::move(dict));
  }
  const AllocationMeter meter;
  EXPECT_THAT(NamesIn(dicts), ElementsAre(HasSubstr("unfold")));
  EXPECT_LT(meter.PeakBytes(), size_t{64} << 20);

  Node dict = Dict();
  const Tuple key{std::vector<Node>(200, text)};
  CAISSON_ASSERT_OK(dict.As<Dict>()->Set(key, Tensor()));
  const AllocationMeter again;
  EXPECT_EQ(NamesIn(dict).size(), 1u);
  EXPECT_LT(again.PeakBytes(), size_t{16} << 20);
}

}  // namespace
}  // namespace caisson
