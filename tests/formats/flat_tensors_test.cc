// SPDX-License-Identifier: Apache-2.0
//
// What of a state a flat format carries, and what is named as lost.
#include "core/formats/flat_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/pattern_tensor.h"
#include "tests/support/status_matchers.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TensorView Floats(std::vector<int64_t> shape) {
  return PatternTensor(DType::kFloat32, std::move(shape), 0);
}

Object Call(const char* module, const char* name, std::vector<Node> args) {
  Object object;
  object.callable = Global{module, name};
  object.args = Tuple{std::move(args)};
  return object;
}

FlatState FlatOf(const State& state) {
  auto flat =
      Flatten(state, [](DType dtype) { return dtype != DType::kComplex128; });
  EXPECT_THAT(flat.status(), IsOk());
  return flat.has_value() ? *std::move(flat) : FlatState();
}

std::vector<std::string> NamesOf(const FlatState& flat) {
  std::vector<std::string> names;
  for (const FlatTensor& tensor : flat.tensors) names.push_back(tensor.name);
  return names;
}

TEST(Flatten, JoinsPathsInOrder) {
  State state;
  state["model"]["w"] = Floats({2});
  state["list"] = List{{Floats({1}), Tuple{{Floats({1})}}}};
  Dict numbered;
  CAISSON_EXPECT_OK(numbered.Set(7, Floats({1})));
  state["d"] = numbered;
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(NamesOf(flat),
              ElementsAre("model.w", "list.0", "list.1.0", "d.7"));
  EXPECT_THAT(flat.losses, IsEmpty());
}

TEST(Flatten, NamesEveryValueThatIsNoTensor) {
  State state;
  state["w"] = Floats({2});
  state["step"] = 7;
  state["lr"] = 0.5;
  state["on"] = true;
  state["none"] = Node();
  state["text"] = "x";
  state["empty"] = Dict();
  state["betas"] = Tuple{{0.9, 0.99}};
  state["z"] = PatternTensor(DType::kComplex128, {1}, 0);
  state["device"] = Call("torch", "device", {"cpu"});
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(NamesOf(flat), ElementsAre("w"));
  EXPECT_THAT(flat.losses,
              ElementsAre("'step': an int", "'lr': a float", "'on': a bool",
                          "'none': None", "'text': a str",
                          "'empty': an empty container", "'betas.0': a float",
                          "'betas.1': a float", "'z': the dtype complex128",
                          "'device': an object of torch.device"));
}

TEST(Flatten, LeavesTheAttributesOfAModuleBehindWithoutAWord) {
  Dict dict(/*is_ordered=*/true);
  CAISSON_EXPECT_OK(dict.Set("w", Floats({1})));
  dict.attributes["_metadata"]["version"] = 1;
  State state;
  state.root = dict;
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(NamesOf(flat), ElementsAre("w"));
  EXPECT_THAT(flat.losses, IsEmpty());
}

TEST(Flatten, TakesTheTensorOfAParameter) {
  State state;
  state["p"] = Call("torch._utils", "_rebuild_parameter",
                    {Floats({2}), true, Dict(true)});
  state["q"] = Call("torch._utils", "_rebuild_parameter_with_state",
                    {Floats({2}), true, Dict(true), Dict()});
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(NamesOf(flat), ElementsAre("p", "q"));
  EXPECT_THAT(flat.losses, ElementsAre("'q': attributes of a tensor"));
}

TEST(Flatten, NamesQuantisedAndSparseTensorsAndNoneOfTheirParts) {
  State state;
  state["q"] =
      Call("torch._utils", "_rebuild_qtensor",
           {PatternTensor(DType::kQInt8, {2}, 0), Node(), false, Dict(true)});
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(flat.tensors, IsEmpty());
  EXPECT_THAT(flat.losses,
              ElementsAre("'q': an object of torch._utils._rebuild_qtensor"));
}

TEST(Flatten, NamesConjugatedAndNegatedViews) {
  State state;
  TensorView conj = PatternTensor(DType::kComplex64, {2}, 0);
  conj.conj = true;
  TensorView neg = Floats({2});
  neg.neg = true;
  state["c"] = conj;
  state["n"] = neg;
  const FlatState flat = FlatOf(state);
  EXPECT_THAT(flat.tensors, IsEmpty());
  EXPECT_THAT(flat.losses,
              ElementsAre("'c': a conjugate view", "'n': a negative view"));
}

TEST(Flatten, NamesTensorsThatShareMemory) {
  const TensorView base = Floats({6});
  State state;
  state["all"] = base;
  state["turned"] = ViewOf(base, {3, 2}, {1, 3});
  state["front"] = ViewOf(base, {2}, {1}, 0);
  const FlatState flat = FlatOf(state);
  EXPECT_EQ(flat.tensors.size(), 3u);
  EXPECT_THAT(flat.losses,
              UnorderedElementsAre("'turned': shares memory with 'all'",
                                   "'front': shares memory with 'all'"));
}

TEST(Flatten, LosesNothingOfViewsThatDoNotOverlap) {
  const TensorView base = Floats({6});
  State state;
  state["back"] = ViewOf(base, {3}, {1}, 3);
  state["front"] = ViewOf(base, {3}, {1}, 0);
  state["none"] = ViewOf(base, {0}, {1}, 1);
  EXPECT_THAT(FlatOf(state).losses, IsEmpty());
}

TEST(Flatten, RefusesANameThatTwoPathsHave) {
  State state;
  state["a.b"] = Floats({1});
  state["a"]["b"] = Floats({1});
  EXPECT_THAT(Flatten(state, [](DType) { return true; }).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("'a.b'"), HasSubstr("[\"a.b\"]"),
                             HasSubstr("[\"a\", \"b\"]"))));
}

TEST(Flatten, RefusesATreeThatContainsItself) {
  State state;
  state["d"] = Dict();
  Node loop = *state.root.Find("d");
  loop["again"] = loop;
  EXPECT_THAT(Flatten(state, [](DType) { return true; }).status(),
              StatusIs(StatusCode::kInvalidArgument, testing::_));
  loop.As<Dict>()->Clear();  // or it would never be freed
}

}  // namespace
}  // namespace caisson
