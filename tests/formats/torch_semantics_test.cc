// SPDX-License-Identifier: Apache-2.0
//
// Storages behind persistent ids and tensors behind rebuild calls: what they
// mean, and every way in which they can be wrong.
#include "core/formats/torch/torch_semantics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/formats/torch_code.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

std::string Floats(int64_t numel) {
  return StorageId("FloatStorage", "0", numel);
}

TEST(StorageIds, NameAClassAPlaceAndASize) {
  EXPECT_EQ(TorchMeaning(StorageId("FloatStorage", "0", 6)),
            "float32 storage of 24 bytes on cpu");
  EXPECT_EQ(TorchMeaning(StorageId("ComplexDoubleStorage", "0", 1)),
            "complex128 storage of 16 bytes on cpu");
  EXPECT_EQ(TorchMeaning(StorageId("torch.storage.UntypedStorage", "0", 7)),
            "untyped storage of 7 bytes on cpu");
  EXPECT_EQ(TorchMeaning(StorageId("torch.cuda.FloatStorage", "0", 2)),
            "float32 storage of 8 bytes on cpu");
  EXPECT_EQ(TorchMeaning(StorageId("QUInt4x2Storage", "0", 3)),
            "quint4x2 storage of 3 bytes on cpu");
  EXPECT_EQ(TorchMeaning(StorageId("ByteStorage", "0", 0)),
            "uint8 storage of 0 bytes on cpu");
}

TEST(StorageIds, KeepALocationThatNobodyKnows) {
  EXPECT_EQ(TorchMeaning(StorageId("ByteStorage", "0", 1, "quantum:7")),
            "uint8 storage of 1 bytes on quantum:7");
  EXPECT_EQ(TorchMeaning(StorageId("ByteStorage", "../../x", 1, "")),
            "uint8 storage of 1 bytes on ");
}

TEST(StorageIds, AreOneStorageForEachKey) {
  TorchSemantics semantics;
  const std::string code =
      Whole("](" + Floats(2) + StorageId("FloatStorage", "1", 2) + Floats(2) +
            StorageId("IntStorage", "0", 2) + "e");
  const auto unpickled =
      pickle::Unpickle(std::as_bytes(std::span(code)), "p", semantics);
  CAISSON_ASSERT_OK(unpickled);
  const auto& items = unpickled->root.As<List>()->items;
  const auto storage = [&](size_t i) { return *items[i].As<StorageHandle>(); };
  EXPECT_EQ(storage(0), storage(2));
  EXPECT_NE(storage(0), storage(1));
  // As in stock, the first id decides; its size must stay.
  EXPECT_EQ(storage(3), storage(0));
  EXPECT_EQ(storage(3)->dtype, DType::kFloat32);
  ASSERT_EQ(semantics.storages().size(), 2u);
  EXPECT_EQ(semantics.storages()[0].key, "0");
  EXPECT_EQ(semantics.storages()[1].key, "1");
}

TEST(StorageIds, RefuseTwoSizesForOneKey) {
  EXPECT_THAT(TorchMeaning("](" + Floats(2) + Floats(3) + "e"),
              HasSubstr("storage '0': 12 bytes, before it had 8"));
  EXPECT_THAT(
      TorchMeaning("](" + Floats(2) + StorageId("DoubleStorage", "0", 2) + "e"),
      HasSubstr("storage '0': 16 bytes, before it had 8"));
}

TEST(StorageIds, RefuseAnythingButATupleOfFive) {
  const std::string four =
      Str("storage") + Class("torch", "FloatStorage") + Str("0") + Str("cpu");
  EXPECT_THAT(TorchMeaning(TupleOf(four) + "Q"),
              HasSubstr("persistent id: expected a tuple of 5"));
  EXPECT_THAT(TorchMeaning(TupleOf(four + Int(1) + "N") + "Q"),
              HasSubstr("expected a tuple of 5"));
  for (const char* id : {"N", "K\x01", ")", "]", "}"}) {
    EXPECT_THAT(TorchMeaning(std::string(id) + "Q"),
                HasSubstr("persistent id: expected a tuple of 5"));
  }
  EXPECT_THAT(TorchMeaning("](" + four + Int(1) + "e" + "Q"),
              HasSubstr("expected a tuple of 5"));
}

TEST(StorageIds, RefusePartsOfTheWrongKind) {
  const auto id = [](const std::string& tag, const std::string& cls,
                     const std::string& key, const std::string& location,
                     const std::string& numel) {
    return TorchMeaning(TupleOf(tag + cls + key + location + numel) + "Q");
  };
  const std::string tag = Str("storage"), key = Str("0"), cpu = Str("cpu");
  const std::string cls = Class("torch", "FloatStorage");
  EXPECT_THAT(id(Str("module"), cls, key, cpu, Int(1)),
              HasSubstr("expected 'storage' first"));
  EXPECT_THAT(id("N", cls, key, cpu, Int(1)),
              HasSubstr("expected 'storage' first"));
  for (const std::string& wrong :
       {std::string("N"), Int(0), std::string("]")}) {
    EXPECT_THAT(id(tag, wrong, key, cpu, Int(1)), HasSubstr("wrong type"));
    EXPECT_THAT(id(tag, cls, wrong, cpu, Int(1)), HasSubstr("wrong type"));
    EXPECT_THAT(id(tag, cls, key, wrong, Int(1)), HasSubstr("wrong type"));
  }
  for (const std::string& numel :
       {std::string("N"), Str("1"), std::string("\x88"),
        std::string("G\x3f\xf0\0\0\0\0\0\0", 9)}) {
    EXPECT_THAT(id(tag, cls, key, cpu, numel),
                HasSubstr("a bad number of elements"));
  }
}

TEST(StorageIds, RefuseClassesThatAreNone) {
  for (const char* cls :
       {"torch.float32", "torch.Size", "torch.storage.TypedStorage",
        "torch.FloatTensor", "collections.OrderedDict"}) {
    EXPECT_THAT(TorchMeaning(StorageId(cls, "0", 1)),
                HasSubstr("unknown storage class " + std::string(cls)));
  }
  EXPECT_THAT(TorchMeaning(StorageId("my.FloatStorage", "0", 1), false),
              HasSubstr("unknown storage class my.FloatStorage"));
}

TEST(StorageIds, RefuseSizesThatWrap) {
  const auto sized = [](const char* cls, int64_t numel) {
    return TorchMeaning(StorageId(cls, "0", numel));
  };
  const auto bad = HasSubstr("storage '0': a bad number of elements");
  EXPECT_THAT(sized("FloatStorage", (int64_t{1} << 62) + 1), bad);
  EXPECT_THAT(sized("FloatStorage", int64_t{1} << 61), bad);
  EXPECT_THAT(sized("FloatStorage", -1), bad);
  EXPECT_THAT(sized("ByteStorage", -1), bad);
  EXPECT_THAT(sized("ComplexDoubleStorage", kMaxInt), bad);
  EXPECT_EQ(sized("ByteStorage", kMaxInt),
            "uint8 storage of 9223372036854775807 bytes on cpu");
  const std::string two64 = std::string("\x8a\x09\0\0\0\0\0\0\0\0\x01", 11);
  EXPECT_THAT(
      TorchMeaning(TupleOf(Str("storage") + Class("torch", "ByteStorage") +
                           Str("0") + Str("cpu") + two64) +
                   "Q"),
      bad);
}

TEST(RebuildTensor, GivesAView) {
  EXPECT_EQ(TorchMeaning(TensorV2(Floats(10), {2, 3}, {3, 1}, 4)),
            "tensor float32[2,3] at 4 by [3,1] of a float32 storage of 40 "
            "bytes on cpu");
  EXPECT_EQ(TorchMeaning(TensorV2(Floats(1), {}, {})),
            "tensor float32[] at 0 by [] of a float32 storage of 4 bytes on "
            "cpu");
  EXPECT_EQ(
      TorchMeaning(TensorV3(StorageId("torch.storage.UntypedStorage", "0", 6),
                            "uint16", {2}, {1}, 1)),
      "tensor uint16[2] at 1 by [1] of a untyped storage of 6 bytes on cpu");
  EXPECT_EQ(TorchMeaning(Call("torch._utils", "_rebuild_tensor",
                              Floats(2) + Int(0) + Ints({2}) + Ints({1}))),
            "tensor float32[2] at 0 by [1] of a float32 storage of 8 bytes on "
            "cpu");
}

TEST(RebuildTensor, ReadsWhatFollowsTheGeometry) {
  const std::string head =
      StorageId("ComplexFloatStorage", "0", 2) + Int(0) + Ints({2}) + Ints({1});
  const auto v2 = [&](const std::string& tail) {
    return TorchMeaning(
        Call("torch._utils", "_rebuild_tensor_v2", head + tail));
  };
  const std::string hooks = OrderedDictCode();
  EXPECT_THAT(v2("\x88" + hooks), HasSubstr(" grad of"));
  EXPECT_THAT(v2("\x89N"), HasSubstr("tensor complex64[2] at 0 by [1] of"));
  EXPECT_THAT(v2("\x89" + hooks + "}" + Str("conj") + "\x88s"),
              HasSubstr(" conj of"));
  EXPECT_THAT(
      v2("\x89" + hooks + "}(" + Str("neg") + "\x88" + Str("conj") + "\x88u"),
      HasSubstr(" conj neg of"));
  EXPECT_THAT(v2("\x89" + hooks + "}"), HasSubstr("by [1] of"));
  EXPECT_THAT(v2("N" + hooks), HasSubstr("requires_grad is no bool"));
  EXPECT_THAT(v2("K\x01" + hooks), HasSubstr("requires_grad is no bool"));
  EXPECT_THAT(v2("\x89}" + Int(1) + "Ns"), HasSubstr("backward hooks"));
  EXPECT_THAT(v2("\x89]"), HasSubstr("backward hooks"));
  for (const std::string& metadata :
       {std::string("N"), std::string("]"), "}" + Str("other") + "\x88s",
        "}" + Str("conj") + "Ns", "}" + Int(1) + "\x88s"}) {
    EXPECT_THAT(v2("\x89" + hooks + metadata),
                AllOf(StartsWith("unsupported: p at "),
                      HasSubstr("metadata other than conj and neg")));
  }
}

TEST(RebuildTensor, RefusesTheConjugateOfARealTensor) {
  EXPECT_THAT(TorchMeaning(TensorV2(Floats(2), {2}, {1}, 0,
                                    "}" + Str("conj") + "\x88s")),
              HasSubstr("metadata other than conj and neg"));
}

TEST(RebuildTensor, ReadsTorchSizeAsATuple) {
  const std::string size = Call("torch", "Size", Ints({2}));
  EXPECT_THAT(
      TorchMeaning(Call("torch._utils", "_rebuild_tensor_v2",
                        Floats(2) + Int(0) + size + Ints({1}) + "\x89N")),
      HasSubstr("tensor float32[2] at 0 by [1]"));
}

TEST(RebuildTensor, TakesEveryStorageClassAndUntypedDType) {
  for (const DType dtype : AllDTypes()) {
    const std::string name(Name(dtype));
    if (name.starts_with("float6")) continue;
    const std::string cls(TorchStorageClass(dtype));
    const std::string code =
        cls.empty()
            ? TensorV3(StorageId("torch.storage.UntypedStorage", "0", 16), name,
                       {1}, {1})
            : TensorV2(StorageId(cls, "0", 1), {1}, {1});
    EXPECT_THAT(TorchMeaning(code), StartsWith("tensor " + name + "[1]"));
  }
}

// Geometry: formats.md 8.3.
TEST(RebuildTensor, AcceptsAnExtentThatEndsWithItsStorage) {
  const auto accepted = StartsWith("tensor float32");
  EXPECT_THAT(TorchMeaning(TensorV2(Floats(10), {2, 3}, {3, 1}, 4)), accepted);
  EXPECT_THAT(TorchMeaning(TensorV2(Floats(10), {1000000}, {0}, 9)), accepted);
  EXPECT_THAT(TorchMeaning(TensorV2(Floats(10), {3, 0}, {kMaxInt, 1}, 10)),
              accepted);
  EXPECT_THAT(TorchMeaning(TensorV2(Floats(0), {0}, {1}, 0)), accepted);
}

TEST(RebuildTensor, RefusesGeometryOutsideItsStorage) {
  const auto refused = [](const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides,
                          int64_t offset = 0) {
    EXPECT_THAT(TorchMeaning(TensorV2(Floats(10), shape, strides, offset)),
                AllOf(StartsWith("corrupt: p at "),
                      HasSubstr("torch._utils._rebuild_tensor_v2: ")));
  };
  refused({2, 3}, {3, 1}, 5);
  refused({11}, {1});
  refused({2, 3}, {6, 1}, 2);
  refused({}, {}, 10);
  refused({2}, {1}, -1);
  refused({-1}, {1});
  refused({0, -1}, {1, 1});
  refused({2}, {-1}, 5);
  refused({2, 2}, {1});
  refused({2}, {1, 1});
  refused({int64_t{1} << 62, 4}, {0, 0});
  refused({int64_t{1} << 62, 4, 0}, {0, 0, 0});
  refused({3}, {kMaxInt});
  refused({1}, {1}, kMaxInt);
  refused(std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1));
}

TEST(RebuildTensor, RefusesADTypeThatDoesNotDivideItsStorage) {
  EXPECT_THAT(
      TorchMeaning(TensorV3(StorageId("torch.storage.UntypedStorage", "0", 7),
                            "uint16", {2}, {1})),
      HasSubstr("a storage of 7 bytes, which uint16 does not divide"));
}

TEST(RebuildTensor, RefusesADTypeThatIsNone) {
  const std::string bytes = StorageId("torch.storage.UntypedStorage", "0", 8);
  EXPECT_THAT(TorchMeaning(TensorV2(bytes, {1}, {1})),
              HasSubstr("no dtype over an untyped storage"));
  const auto v3 = [&](const std::string& dtype) {
    return TorchMeaning(
        Call("torch._utils", "_rebuild_tensor_v3",
             bytes + Int(0) + Ints({1}) + Ints({1}) + "\x89N" + dtype));
  };
  for (const std::string& dtype :
       {std::string("N"), Str("uint16"), Class("torch", "Size"),
        Class("torch", "FloatStorage")}) {
    EXPECT_THAT(v3(dtype), HasSubstr("the dtype is none"));
  }
  EXPECT_THAT(v3(Class("torch", "float6_e2m3")),
              HasSubstr("the global torch.float6_e2m3"));
}

// Each argument of each plain rebuild replaced by everything that it is not,
// and every number of arguments.
TEST(RebuildTensor, RefusesEveryWrongNumberAndKindOfArgument) {
  struct Rebuild {
    const char* name;
    std::vector<std::string> args;
    size_t least;
  };
  const std::string hooks = OrderedDictCode();
  const Rebuild kRebuilds[] = {
      {"_rebuild_tensor", {Floats(2), Int(0), Ints({2}), Ints({1})}, 4},
      {"_rebuild_tensor_v2",
       {Floats(2), Int(0), Ints({2}), Ints({1}), "\x89", hooks,
        "}" + Str("neg") + "\x88s"},
       6},
      {"_rebuild_tensor_v3",
       {Floats(2), Int(0), Ints({2}), Ints({1}), "\x89", hooks,
        Class("torch", "float32"), "}" + Str("neg") + "\x88s"},
       7},
  };
  const auto joined = [](const std::vector<std::string>& args) {
    std::string code;
    for (const std::string& arg : args) code += arg;
    return code;
  };
  const std::string kWrong[] = {
      Int(-5),
      Str("text"),
      "]",
      Ints({1, 2}),
      ")",
      Class("torch", "Size"),
      TupleOf("N"),
      "}" + Int(1) + Int(2) + "s",
      StorageId("IntStorage", "9", 0),
  };
  for (const Rebuild& rebuild : kRebuilds) {
    for (size_t count = 0; count <= rebuild.args.size() + 2; ++count) {
      std::vector<std::string> args = rebuild.args;
      args.resize(count, "N");
      const bool right = count >= rebuild.least && count <= rebuild.args.size();
      EXPECT_THAT(
          TorchMeaning(Call("torch._utils", rebuild.name, joined(args))),
          right ? StartsWith("tensor ") : StartsWith("corrupt: p at "))
          << rebuild.name << " of " << count;
    }
    for (size_t i = 0; i < rebuild.args.size(); ++i) {
      for (const std::string& wrong : kWrong) {
        std::vector<std::string> args = rebuild.args;
        args[i] = wrong;
        EXPECT_THAT(
            TorchMeaning(Call("torch._utils", rebuild.name, joined(args))),
            AnyOf(StartsWith("corrupt: p at "),
                  StartsWith("unsupported: p at ")))
            << rebuild.name << " argument " << i << " is "
            << testing::PrintToString(wrong);
      }
    }
  }
}

// The call is what fills a tensor; nothing else may: CVE-2026-24747.
TEST(Tensors, TakeNeitherItemsNorState) {
  const std::string kTargets[] = {
      FloatTensor(2),
      Floats(2),
      Call("torch", "Size", Ints({2})),
      Call("torch", "device", Str("cpu")),
      Class("torch", "float32"),
      Call("torch._utils", "_rebuild_parameter", FloatTensor(2) + "\x88N"),
      Call("torch.serialization", "_get_layout", Str("torch.strided")),
  };
  for (const std::string& target : kTargets) {
    EXPECT_THAT(TorchMeaning(target + "Na"), HasSubstr("no list"));
    EXPECT_THAT(TorchMeaning(target + "(NNe"), HasSubstr("no list"));
    EXPECT_THAT(TorchMeaning(target + "NNs"), HasSubstr("no dict"));
    EXPECT_THAT(TorchMeaning(target + "(NNu"), HasSubstr("no dict"));
    EXPECT_THAT(TorchMeaning(target + "(N\x90", false), HasSubstr("no set"));
    EXPECT_THAT(TorchMeaning(target + "}b"), HasSubstr("no state"));
  }
  const std::string counter = Call("collections", "Counter", "}");
  EXPECT_THAT(TorchMeaning(counter + "Na"), HasSubstr("no list"));
  EXPECT_THAT(TorchMeaning(counter + "}b"), HasSubstr("no state"));
  EXPECT_EQ(TorchMeaning(counter + Str("a") + Int(1) + "s"),
            "collections.Counter({},) entries {'a': 1}");
}

TEST(Tensors, OfOldTorchAreAClassAndItsState) {
  const std::string state = TupleOf(Floats(2) + Int(0) + Ints({2}) + Ints({1}));
  EXPECT_THAT(
      TorchMeaning(Class("torch", "FloatTensor") + ")\x81" + state + "b"),
      StartsWith("torch.FloatTensor.__new__() state ("));
}

TEST(Tensors, AreNoKeys) {
  EXPECT_THAT(TorchMeaning("}" + FloatTensor(2) + "Ns"),
              HasSubstr("a tensor as a dict key"));
  EXPECT_THAT(TorchMeaning("}" + Floats(2) + "\x85Ns"),
              HasSubstr("a tensor as a dict key"));
}

}  // namespace
}  // namespace caisson::torch
