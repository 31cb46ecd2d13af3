// SPDX-License-Identifier: Apache-2.0
//
// Reader::Load with casts: which tensors they cover, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "tests/engine/cast_states.h"
#include "tests/engine/state_files.h"

namespace caisson {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

TEST(ReaderCast, FirstCastThatCoversATensorDecides) {
  State state;
  state["model"]["a.weight"] = TensorOf<float>(DType::kFloat32, {1}, {1});
  state["model"]["a.bias"] = TensorOf<float>(DType::kFloat32, {1}, {1});
  state["model"]["norm"] = TensorOf<float>(DType::kFloat32, {1}, {1});
  state["other"] = TensorOf<float>(DType::kFloat32, {1}, {1});
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const State loaded, LoadCast(state, {{"*.norm", DType::kFloat32},
                                           {"*bias", DType::kFloat16},
                                           {"model.*", DType::kBFloat16}}));
  const Node& model = *loaded.root.Find("model");
  const auto dtype = [](const Node& parent, const char* key) {
    return parent.Find(key)->As<TensorView>()->spec.dtype;
  };
  EXPECT_EQ(dtype(model, "a.weight"), DType::kBFloat16);
  EXPECT_EQ(dtype(model, "a.bias"), DType::kFloat16);
  EXPECT_EQ(dtype(model, "norm"), DType::kFloat32);
  EXPECT_EQ(dtype(loaded.root, "other"), DType::kFloat32);
}

TEST(ReaderCast, LeavesQuantisedTensorsAndTheirScalesAlone) {
  const TensorView scales = TensorOf<double>(DType::kFloat64, {2}, {0.5, 2});
  State state;
  state["q"] = CallOf("torch._utils", "_rebuild_qtensor",
                      {RandomTensor(DType::kQInt8, {2, 3}, 1),
                       Tuple{{Global{"torch", "per_channel_affine"}, scales,
                              RandomTensor(DType::kInt64, {2}, 2), 0}},
                       false, Dict(true)});
  state["c"] = RandomTensor(DType::kComplex64, {3}, 4);
  CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(state)));
  EXPECT_THAT(LoadCast(state, kAllToBFloat16).status(),
              StatusIs(kInvalid, HasSubstr("no floating")));
  state["w"] = TensorOf<float>(DType::kFloat32, {1}, {1});
  CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded,
                               LoadCast(state, kAllToBFloat16));
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto before, state.Tensors());
  CAISSON_ASSERT_OK_AND_ASSIGN(const auto after, loaded.Tensors());
  ASSERT_EQ(after.size(), 5u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(after[i].view->spec.dtype, before[i].view->spec.dtype);
    EXPECT_EQ(PlainGather(*after[i].view), PlainGather(*before[i].view));
  }
  EXPECT_EQ(after[4].view->spec.dtype, DType::kBFloat16);
}

TEST(ReaderCast, ReachesParametersAndTheValuesOfSparseTensors) {
  const TensorView weight = TensorOf<float>(DType::kFloat32, {2}, {1, 2});
  State state;
  state["p"] =
      CallOf("torch._utils", "_rebuild_parameter", {weight, true, Dict(true)});
  state["s"] = CallOf("torch._utils", "_rebuild_sparse_tensor",
                      {Global{"torch", "sparse_coo"},
                       Tuple{{RandomTensor(DType::kInt64, {1, 2}, 1),
                              TensorOf<float>(DType::kFloat32, {2}, {3, 4}),
                              CallOf("torch", "Size", {Tuple{{9}}})}}});
  state["typed"] =
      CallOf("torch._tensor", "_rebuild_from_type_v2",
             {Global{"torch._utils", "_rebuild_tensor_v2"},
              Global{"torch.nn.parameter", "Buffer"},
              TensorOf<float>(DType::kFloat32, {1}, {5}), Node(Dict())});
  const std::string file = FileOf(state);
  for (const DType to : {DType::kBFloat16, DType::kFloat8E5M2}) {
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(file));
    LoadOptions options;
    options.keep_unknown = true;
    options.casts = {{"*", to}};
    CAISSON_ASSERT_OK_AND_ASSIGN(const State loaded, reader.Load(options));
    // What is written must be what the reader knows how to read.
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader again, OpenBytes(FileOf(loaded)));
    ASSERT_EQ(again.tensors().size(), 4u);
    EXPECT_EQ((*again.Find("p"))->view.spec.dtype, to);
    EXPECT_EQ((*again.Find("s.indices"))->view.spec.dtype, DType::kInt64);
    EXPECT_EQ((*again.Find("s.values"))->view.spec.dtype, to);
    EXPECT_EQ((*again.Find("typed"))->view.spec.dtype, to);
    EXPECT_TRUE(*again.state()
                     .root.Find("p")
                     ->As<Object>()
                     ->args.As<Tuple>()
                     ->items[1]
                     .As<bool>());
  }
}

// What is refused, before a payload is read.

State Small() {
  State state;
  state["a"] = TensorOf<float>(DType::kFloat32, {2}, {1, 2});
  state["n"] = RandomTensor(DType::kInt32, {2}, 1);
  return state;
}

TEST(ReaderCast, NamesAGlobThatCoversNothingOrNothingFloating) {
  const auto fails = [](std::vector<Cast> casts) {
    const auto counted =
        std::make_shared<CountingAdapter>(InMemory(FileOf(Small())));
    const Result<Reader> reader = Reader::Open(counted);
    const uint64_t reads = counted->reads;
    LoadOptions options;
    options.casts = std::move(casts);
    const Status status = reader->Load(options).status();
    EXPECT_EQ(counted->reads, reads);
    return status;
  };
  EXPECT_THAT(fails({{"*", DType::kFloat16}, {"b*", DType::kFloat16}}),
              StatusIs(StatusCode::kNotFound,
                       AllOf(HasSubstr("model.pt"), HasSubstr("'b*'"))));
  EXPECT_THAT(fails({{"n", DType::kFloat16}}),
              StatusIs(kInvalid, AllOf(HasSubstr("'n'"), HasSubstr("int32"))));
  EXPECT_THAT(fails({{"a", DType::kInt8}}),
              StatusIs(kInvalid, HasSubstr("int8")));
  EXPECT_THAT(fails({{"a", DType::kFloat6E2M3}}),
              StatusIs(kInvalid, HasSubstr("float6_e2m3")));
  EXPECT_THAT(
      fails({{"a", DType::kFloat4E2M1FnX2}}),
      StatusIs(kUnsupported, AllOf(HasSubstr("'a'"), HasSubstr("float32"),
                                   HasSubstr("float4_e2m1fn_x2"))));
}

TEST(ReaderCast, NamesTwoTensorsThatWantOneStorageDifferently) {
  State state;
  const TensorView base = TensorOf(DType::kFloat32, {8}, Floats(8, 1));
  state["x"] = base;
  state["y"] = ViewOf(base, {2}, {4}, 1);
  for (const std::vector<Cast>& casts :
       {std::vector<Cast>{{"x", DType::kFloat16}},
        std::vector<Cast>{{"y", DType::kFloat16}},
        std::vector<Cast>{{"y", DType::kFloat16}, {"*", DType::kBFloat16}}}) {
    EXPECT_THAT(LoadCast(state, casts).status(),
                StatusIs(kInvalid, AllOf(HasSubstr("'x'"), HasSubstr("'y'"),
                                         HasSubstr("float16"))));
  }
  CAISSON_EXPECT_OK(LoadCast(state, {{"*", DType::kFloat16}}));
  CAISSON_EXPECT_OK(LoadCast(state, {{"x", DType::kFloat32}}));
}

TEST(ReaderCast, RefusesViewsOfAnotherDTypeThanTheirStorage) {
  State state;
  const TensorView base =
      TensorOf<uint8_t>(DType::kFloat8E4M3Fn, {2}, {0x38, 0x38});
  state["x"] = base;
  TensorView other = base;
  other.spec.dtype = DType::kFloat8E5M2;
  state["y"] = other;
  EXPECT_THAT(LoadCast(state, {{"*", DType::kFloat32}}).status(),
              StatusIs(kUnsupported, AllOf(HasSubstr("'x'"), HasSubstr("'y'"),
                                           HasSubstr("float8_e5m2"))));
  // An object of its own over the storage of a tensor.
  State held = Small();
  held["storage"] = TensorAt(held, "a").storage;
  EXPECT_THAT(LoadCast(held, kAllToBFloat16).status(),
              StatusIs(kUnsupported, HasSubstr("'data/0'")));
}

TEST(ReaderCast, RefusesTensorsWhoseDTypeIsToldTwice) {
  State state;
  state["t"] = CallOf("torch._utils", "_rebuild_device_tensor_from_cpu_tensor",
                      {TensorOf<float>(DType::kFloat32, {1}, {1}),
                       Global{"torch", "float32"}, "xla:0", false});
  EXPECT_THAT(LoadCast(state, kAllToBFloat16).status(),
              StatusIs(kUnsupported, HasSubstr("'t'")));
}

}  // namespace
}  // namespace caisson
