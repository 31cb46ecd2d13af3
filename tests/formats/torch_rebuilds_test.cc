// SPDX-License-Identifier: Apache-2.0
//
// Rebuild calls that are kept as calls: parameters, quantised, sparse, nested
// and meta tensors, subclasses. formats.md 2.6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/formats/torch_code.h"

namespace caisson::torch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kFloat1 = std::string("G\x3f\xf0\0\0\0\0\0\0", 9);

std::string Utils(const std::string& name, const std::string& args) {
  return TorchMeaning(Call("torch._utils", name, args));
}

// A tensor of its own storage.
std::string Tensor(const char* key, int64_t n) {
  return TensorV2(StorageId("FloatStorage", key, n), {n}, {1});
}

TEST(Rebuilds, KeepAParameterAroundItsTensor) {
  const std::string args = FloatTensor(2) + "\x88" + OrderedDictCode();
  EXPECT_THAT(Utils("_rebuild_parameter", args),
              AllOf(StartsWith("torch._utils._rebuild_parameter(tensor "),
                    HasSubstr("cpu, True, OrderedDict{})")));
  EXPECT_THAT(Utils("_rebuild_parameter_with_state", args + "}"),
              HasSubstr(", True, OrderedDict{}, {})"));
  EXPECT_THAT(Utils("_rebuild_parameter", FloatTensor(2) + "\x88"),
              HasSubstr("2 arguments, expected 3"));
  EXPECT_THAT(Utils("_rebuild_parameter", args + "N"),
              HasSubstr("4 arguments, expected 3"));
  EXPECT_THAT(Utils("_rebuild_parameter_with_state", args),
              HasSubstr("3 arguments, expected 4"));
  EXPECT_THAT(Utils("_rebuild_parameter", "N\x88N"), HasSubstr("no tensor"));
  EXPECT_THAT(Utils("_rebuild_parameter", Str("w") + "\x88N"),
              HasSubstr("no tensor"));
}

std::string QTensor(const std::string& quantizer, const std::string& tail) {
  return Utils("_rebuild_qtensor", StorageId("QInt8Storage", "0", 6) + Int(0) +
                                       Ints({2, 3}) + Ints({3, 1}) + quantizer +
                                       tail);
}

const std::string kTail = "\x89" + OrderedDictCode();

TEST(Rebuilds, FoldTheTensorOfAQuantisedOne) {
  EXPECT_EQ(
      QTensor(TupleOf(Class("torch", "per_tensor_affine") + kFloat1 + Int(3)),
              kTail),
      "torch._utils._rebuild_qtensor(tensor qint8[2,3] at 0 by [3,1] of a "
      "qint8 storage of 6 bytes on cpu, (torch.per_tensor_affine, 1.0, 3), "
      "False, OrderedDict{})");
  EXPECT_THAT(
      QTensor(TupleOf(Class("torch", "per_tensor_affine") + kFloat1 + Int(3)),
              "\x88" + OrderedDictCode()),
      HasSubstr("3), True, OrderedDict{})"));
}

TEST(Rebuilds, TakeEachSchemeOfQuantisation) {
  const auto channels = [](const char* scheme, const std::string& scales,
                           const std::string& zeros, int64_t axis) {
    return QTensor(TupleOf(Class("torch", scheme) + scales + zeros + Int(axis)),
                   kTail);
  };
  const auto kept = StartsWith("torch._utils._rebuild_qtensor(tensor qint8");
  const std::string two = Tensor("1", 2), three = Tensor("1", 3);
  EXPECT_THAT(channels("per_channel_affine", two, Tensor("2", 2), 0), kept);
  EXPECT_THAT(channels("per_channel_affine", three, Tensor("2", 3), 1), kept);
  EXPECT_THAT(channels("per_channel_affine", three, Tensor("2", 3), -1), kept);
  EXPECT_THAT(channels("per_channel_affine_float_qparams", two, two, 0), kept);
  EXPECT_THAT(channels("per_channel_symmetric", two, two, 0), kept);
  const std::string list = "](" + kFloat1 + kFloat1 + "e";
  EXPECT_THAT(channels("per_channel_affine", list, "](K\1K\2e", 0), kept);
}

TEST(Rebuilds, RefuseAQuantizerThatIsNone) {
  const auto bad = HasSubstr("torch._utils._rebuild_qtensor: a bad quantizer");
  const std::string affine = Class("torch", "per_tensor_affine");
  for (const std::string& quantizer :
       {std::string("N"), std::string(")"), affine, TupleOf(affine),
        TupleOf(affine + kFloat1), TupleOf("N" + kFloat1 + Int(0)),
        TupleOf(Str("per_tensor_affine") + kFloat1 + Int(0)),
        TupleOf(Class("torch", "float32") + kFloat1 + Int(0)),
        TupleOf(Class("torch", "per_channel_affine") + kFloat1 + Int(0)),
        TupleOf(affine + Tensor("1", 2) + Tensor("2", 2) + Int(0)),
        TupleOf(affine + kFloat1 + Int(0) + Int(0) + Int(0))}) {
    EXPECT_THAT(QTensor(quantizer, kTail), bad);
  }
  EXPECT_THAT(QTensor(TupleOf(affine + "N" + Int(0)), kTail),
              HasSubstr("a scale or zero point that is no number"));
  EXPECT_THAT(QTensor(TupleOf(affine + kFloat1 + Str("0")), kTail),
              HasSubstr("a scale or zero point that is no number"));
}

TEST(Rebuilds, RefuseChannelsThatDoNotFitTheTensor) {
  const auto channels = [](const std::string& scales, const std::string& zeros,
                           const std::string& axis) {
    return QTensor(
        TupleOf(Class("torch", "per_channel_affine") + scales + zeros + axis),
        kTail);
  };
  const std::string two = Tensor("1", 2), three = Tensor("2", 3);
  const auto count = HasSubstr("not one scale and zero point a channel");
  EXPECT_THAT(channels(three, three, Int(0)), count);
  EXPECT_THAT(channels(two, three, Int(0)), count);
  EXPECT_THAT(channels("](" + kFloat1 + "e", two, Int(0)), count);
  EXPECT_THAT(channels("N", two, Int(0)), count);
  const auto axis = HasSubstr("an axis beyond the tensor's dimensions");
  EXPECT_THAT(channels(two, two, Int(2)), axis);
  EXPECT_THAT(channels(two, two, Int(-3)), axis);
  EXPECT_THAT(channels(two, two, "N"), axis);
}

TEST(Rebuilds, RefuseAQuantisedTensorOfTheWrongShape) {
  const std::string quantizer =
      TupleOf(Class("torch", "per_tensor_affine") + kFloat1 + Int(3));
  EXPECT_THAT(QTensor(quantizer, "\x89"), HasSubstr("expected 7 arguments"));
  EXPECT_THAT(QTensor(quantizer, kTail + "}"),
              HasSubstr("expected 7 arguments"));
  EXPECT_THAT(QTensor(quantizer, "NN"), HasSubstr("requires_grad is no bool"));
  EXPECT_THAT(Utils("_rebuild_qtensor", StorageId("QInt8Storage", "0", 5) +
                                            Int(0) + Ints({2, 3}) +
                                            Ints({3, 1}) + quantizer + kTail),
              HasSubstr("needs 6 bytes of a storage that has 5"));
}

TEST(Rebuilds, KeepSparseTensorsOfBothForms) {
  const std::string layout =
      Call("torch.serialization", "_get_layout", Str("torch.sparse_coo"));
  const std::string size = Call("torch", "Size", Ints({2, 3}));
  const auto sparse = [&](const std::string& data) {
    return Utils("_rebuild_sparse_tensor", layout + TupleOf(data));
  };
  const std::string pair = Tensor("0", 2) + Tensor("1", 2);
  const auto kept = StartsWith("torch._utils._rebuild_sparse_tensor(torch.");
  EXPECT_THAT(sparse(pair + size), kept);
  EXPECT_THAT(sparse(pair + size + "\x88"), kept);
  EXPECT_THAT(sparse(pair + Tensor("2", 2) + size), kept);
  EXPECT_THAT(sparse(pair), HasSubstr("expected a layout and 3 or 4 parts"));
  EXPECT_THAT(sparse(pair + size + "NN"), HasSubstr("3 or 4 parts"));
  EXPECT_THAT(sparse("N" + Tensor("1", 2) + size), HasSubstr("no tensor"));
  EXPECT_THAT(sparse(Tensor("0", 2) + "]" + size), HasSubstr("no tensor"));
  EXPECT_THAT(Utils("_rebuild_sparse_tensor", layout), HasSubstr("3 or 4"));
  EXPECT_THAT(Utils("_rebuild_sparse_tensor", layout + "NN"),
              HasSubstr("3 or 4"));
  EXPECT_THAT(Utils("_rebuild_sparse_tensor", layout + "]"),
              HasSubstr("3 or 4"));
}

TEST(Rebuilds, KeepTheOtherKindsByTheirNumberOfArguments) {
  const std::string dtype = Class("torch", "float32");
  const std::string tensor = FloatTensor(2);
  const std::string shape = Ints({2}), strides = Ints({1});
  struct Row {
    const char* name;
    std::string args;
  };
  const Row kRows[] = {
      {"_rebuild_nested_tensor",
       tensor + Tensor("1", 2) + Tensor("2", 2) + Tensor("3", 2)},
      {"_rebuild_meta_tensor_no_storage", dtype + shape + strides + "\x89"},
      {"_rebuild_wrapper_subclass",
       Class("torch", "Tensor") + dtype + shape + strides + Int(0) +
           Call("torch.serialization", "_get_layout", Str("torch.strided")) +
           Call("torch", "device", Str("cpu")) + "\x89"},
      {"_rebuild_device_tensor_from_cpu_tensor",
       tensor + dtype + Str("xla:0") + "\x89"},
      {"_rebuild_device_tensor_from_numpy",
       "N" + dtype + Str("xla:0") + "\x89"},
  };
  for (const Row& row : kRows) {
    EXPECT_THAT(Utils(row.name, row.args),
                StartsWith("torch._utils." + std::string(row.name) + "("));
    EXPECT_THAT(Utils(row.name, row.args + "N"), HasSubstr("arguments, exp"));
    EXPECT_THAT(Utils(row.name, ""), HasSubstr("0 arguments, expected "));
  }
  EXPECT_THAT(Utils("_rebuild_nested_tensor", "NNNN"), HasSubstr("no tensor"));
  EXPECT_THAT(Utils("_rebuild_device_tensor_from_cpu_tensor", "NNNN"),
              HasSubstr("no tensor"));
}

std::string FromType(const std::string& args) {
  return TorchMeaning(Call("torch._tensor", "_rebuild_from_type_v2", args));
}

TEST(Rebuilds, FoldTheTensorOfASubclass) {
  const std::string v2 = Class("torch._utils", "_rebuild_tensor_v2");
  const std::string type = Class("torch", "Tensor");
  const std::string inner =
      TupleOf(StorageId("FloatStorage", "0", 2) + Int(0) + Ints({2}) +
              Ints({1}) + "\x89" + OrderedDictCode());
  EXPECT_EQ(FromType(v2 + type + inner + "}" + Str("note") + Int(1) + "s"),
            "torch._tensor._rebuild_from_type_v2("
            "torch._utils._rebuild_tensor_v2, torch.Tensor, "
            "tensor float32[2] at 0 by [1] of a float32 storage of 8 bytes on "
            "cpu, {'note': 1})");
  EXPECT_THAT(FromType(v2 + type + inner), HasSubstr("expected 4 arguments"));
  EXPECT_THAT(FromType(v2 + type + inner + "NN"),
              HasSubstr("expected 4 arguments"));
  EXPECT_THAT(FromType("N" + type + inner + "N"),
              HasSubstr("no function or no arguments"));
  EXPECT_THAT(FromType(v2 + type + "]" + "N"),
              HasSubstr("no function or no arguments"));
  EXPECT_THAT(FromType(v2 + type + ")N"),
              HasSubstr("0 arguments, expected 6 or one more"));
}

TEST(Rebuilds, KeepASubclassThatIsRebuiltInAnotherWay) {
  const std::string inner =
      TupleOf(FloatTensor(2) + "\x88" + OrderedDictCode());
  EXPECT_THAT(FromType(Class("torch._utils", "_rebuild_parameter") +
                       Class("torch", "Tensor") + inner + "N"),
              HasSubstr("_rebuild_parameter, torch.Tensor, (tensor float32"));
}

TEST(Rebuilds, AreNoClasses) {
  for (const char* name :
       {"_rebuild_tensor_v2", "_rebuild_qtensor", "_rebuild_parameter"}) {
    EXPECT_THAT(TorchMeaning(Class("torch._utils", name) + ")\x81"),
                HasSubstr("an instance of torch._utils." + std::string(name) +
                          ", which is no class"));
  }
  EXPECT_THAT(
      TorchMeaning(Class("torch.serialization", "_get_layout") + ")\x81"),
      HasSubstr("which is no class"));
  EXPECT_THAT(TorchMeaning(Class("torch", "float32") + ")\x81"),
              HasSubstr("which is no class"));
  EXPECT_THAT(TorchMeaning(Class("torch", "float32") + ")R"),
              HasSubstr("which is no function"));
}

}  // namespace
}  // namespace caisson::torch
