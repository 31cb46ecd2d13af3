// SPDX-License-Identifier: Apache-2.0
//
// Which globals a pickle may name. Nothing is ever looked up or called; strict
// mode, and Load(), refuse what torch.load(weights_only=True) refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "core/formats/torch/allowed_globals.h"
#include "tests/formats/torch_code.h"
#include "tests/io/scratch_directory.h"
#include "tests/support/status_matchers.h"

namespace caisson::torch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Module {
  const char* name;
  const char* members;  // separated by blanks
};

// torch._weights_only_unpickler._get_allowed_globals() of torch 2.13.0.
constexpr Module kAllowed[] = {
    {"_codecs", "encode"},
    {"builtins", "bytearray complex set"},
    {"collections", "Counter OrderedDict"},
    {"torch",
     "BFloat16Storage BFloat16Tensor BoolStorage BoolTensor ByteStorage "
     "ByteTensor CharStorage CharTensor ComplexDoubleStorage "
     "ComplexFloatStorage DoubleStorage DoubleTensor FloatStorage "
     "FloatTensor HalfStorage HalfTensor IntStorage IntTensor LongStorage "
     "LongTensor QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage "
     "QUInt8Storage ShortStorage ShortTensor Size Tensor bfloat16 bits16 "
     "bits1x8 bits2x4 bits4x2 bits8 bool complex128 complex32 complex64 "
     "device float16 float32 float4_e2m1fn_x2 float64 float8_e4m3fn "
     "float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int16 "
     "int2 int3 int32 int4 int5 int6 int64 int7 int8 per_channel_affine "
     "per_channel_affine_float_qparams per_channel_symmetric "
     "per_tensor_affine per_tensor_symmetric qint32 qint8 quint2x4 quint4x2 "
     "quint8 uint1 uint16 uint2 uint3 uint32 uint4 uint5 uint6 uint64 uint7 "
     "uint8"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch._utils",
     "_rebuild_device_tensor_from_cpu_tensor "
     "_rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage "
     "_rebuild_nested_tensor _rebuild_parameter "
     "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
     "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 "
     "_rebuild_wrapper_subclass"},
    {"torch.cuda",
     "BFloat16Storage BFloat16Tensor BoolStorage BoolTensor ByteStorage "
     "ByteTensor CharStorage CharTensor ComplexDoubleStorage "
     "ComplexFloatStorage DoubleStorage DoubleTensor FloatStorage "
     "FloatTensor HalfStorage HalfTensor IntStorage IntTensor LongStorage "
     "LongTensor ShortStorage ShortTensor"},
    {"torch.cuda.sparse",
     "BFloat16Tensor ByteTensor CharTensor DoubleTensor FloatTensor "
     "HalfTensor IntTensor LongTensor ShortTensor"},
    {"torch.nn.parameter", "Parameter"},
    {"torch.serialization", "_get_layout"},
    {"torch.sparse",
     "BFloat16Tensor ByteTensor CharTensor DoubleTensor FloatTensor "
     "HalfTensor IntTensor LongTensor ShortTensor"},
    {"torch.storage", "TypedStorage UntypedStorage"},
};

// Those that modules of torch register when they are imported.
constexpr Module kRegistered[] = {
    {"torch._dynamo.decorators", "_DimRange"},
    {"torch.distributed.device_mesh", "DeviceMesh"},
    {"torch.distributed.tensor", "DTensor"},
    {"torch.distributed.tensor._dtensor_spec", "DTensorSpec TensorMeta"},
    {"torch.distributed.tensor.placement_types", "Partial Replicate Shard"},
    {"torch.nested._internal.nested_tensor", "NestedTensor _rebuild_njt"},
};

std::vector<Global> GlobalsOf(std::span<const Module> modules) {
  std::vector<Global> globals;
  for (const Module& module : modules) {
    std::istringstream members(module.members);
    for (std::string name; members >> name;) {
      globals.push_back({module.name, name});
    }
  }
  return globals;
}

const Global kRefused[] = {
    {"os", "system"},
    {"posix", "system"},
    {"nt", "system"},
    {"sys", "exit"},
    {"subprocess", "Popen"},
    {"builtins", "eval"},
    {"builtins", "exec"},
    {"builtins", "getattr"},
    {"builtins", "bytes"},
    {"builtins", "frozenset"},
    {"builtins", "set "},
    {"", ""},
    {"", "set"},
    {"collections", "defaultdict"},
    {"copyreg", "_reconstructor"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"torch", "load"},
    {"torch", "float"},
    {"torch", "float6_e2m3"},
    {"torch", "float6_e3m2"},
    {"torch", "UntypedStorage"},
    {"torch", "nn.parameter.Parameter"},
    {"torch.nn", "Parameter"},
    {"torch.hub", "load"},
    {"torch.storage", "_load_from_bytes"},
    {"torch.jit._pickle", "build_tensor_from_id"},
    {"torch.cuda", "QInt8Storage"},
    {"torch.cuda", "float32"},
    {"torch.sparse", "BoolTensor"},
    {"torch.cuda.sparse", "BoolTensor"},
    {"torch._utils", "_rebuild_tensor_v4"},
    {"Torch", "Size"},
};

TEST(TorchGlobals, AreAcceptedWhereStockAcceptsThem) {
  const std::vector<Global> allowed = GlobalsOf(kAllowed);
  EXPECT_EQ(allowed.size(), 144u);
  for (const Global& global : allowed) {
    EXPECT_NE(ClassifyGlobal(global), pickle::Trust::kUnknown)
        << global.dotted();
    EXPECT_EQ(TorchMeaning(Class(global.module, global.name)), global.dotted());
  }
  for (const Global& global : GlobalsOf(kRegistered)) {
    EXPECT_EQ(TorchMeaning(Class(global.module, global.name)), global.dotted());
  }
  EXPECT_EQ(TorchMeaning(Class("__builtin__", "set")), "builtins.set");
}

TEST(TorchGlobals, AreRefusedByNameInStrictMode) {
  for (const Global& global : kRefused) {
    EXPECT_EQ(TorchMeaning(Class(global.module, global.name)),
              "unsupported: p at 2: the global " + global.dotted() +
                  ", which torch.load(weights_only=True) refuses");
  }
  EXPECT_THAT(TorchMeaning(Class("__builtin__", "eval")),
              HasSubstr("the global builtins.eval"));
}

TEST(TorchGlobals, AreKeptAsNamesOtherwise) {
  EXPECT_EQ(TorchMeaning(Call("os", "system", Str("true")), false),
            "os.system('true',)");
  EXPECT_EQ(TorchMeaning(Class("a", "b") + ")\x81}b", false),
            "a.b.__new__() state {}");
}

std::string FileOf(const std::string& code) {
  TorchFile file;
  file.pickle = Whole(code);
  return file.Bytes();
}

TEST(TorchGlobals, MakeAStrictReaderRefuseTheFile) {
  for (const Global& global : kRefused) {
    EXPECT_THAT(OpenBytes(FileOf(Class(global.module, global.name)), true),
                StatusIs(StatusCode::kUnsupported,
                         AllOf(HasSubstr("model.pt: record 'data.pkl' at 2: "),
                               HasSubstr("the global " + global.dotted()))));
  }
}

// As the module and the name come from the stack, no table of opcodes shows
// what is named; protocol 4 writes them so.
TEST(TorchGlobals, MakeLoadRefuseTheFileByName) {
  for (const Global& global : kRefused) {
    // Some builtins are known to be harmless, though stock refuses them.
    if (global.name == "bytes" || global.name == "frozenset") continue;
    for (const std::string& code :
         {Class(global.module, global.name),
          Str(global.module) + Str(global.name) + "\x93"}) {
      CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader,
                                   OpenBytes(FileOf(code)));
      EXPECT_THAT(reader.Load(),
                  StatusIs(StatusCode::kUnsupported,
                           HasSubstr("the global " + global.dotted())));
    }
  }
}

TEST(TorchGlobals, AreLoadedAsNamesWhenTheCallerAsksForIt) {
  CAISSON_ASSERT_OK_AND_ASSIGN(
      const Reader reader, OpenBytes(FileOf(Call("os", "system", Str("x")))));
  LoadOptions options;
  options.keep_unknown = true;
  CAISSON_ASSERT_OK_AND_ASSIGN(const State state, reader.Load(options));
  EXPECT_EQ(NodeText(state.root), "os.system('x',)");
}

// What the pickle of an attacker would do if anything in it ran.
TEST(TorchGlobals, AreNeverCalled) {
  const ScratchDirectory scratch;
  const std::string witness = scratch / "was_here";
  const std::string command = "touch '" + witness + "'";
  const std::string kAttacks[] = {
      Call("os", "system", Str(command)),
      Call("posix", "system", Str(command)),
      Call("subprocess", "Popen", "](" + Str("touch") + Str(witness) + "e"),
      Call("__builtin__", "eval",
           Str("__import__('os').system(\"" + command + "\")")),
      Call("__builtin__", "getattr", Class("os", "path") + Str("system")) +
          TupleOf(Str(command)) + "R",
      Str("os") + Str("system") + "\x93" + TupleOf(Str(command)) + "R",
      Class("os", "system") + TupleOf(Str(command)) + "\x81",
      Class("os", "system") + ")\x81" + Str(command) + "b",
  };
  for (const std::string& code : kAttacks) {
    EXPECT_FALSE(OpenBytes(FileOf(code), true).has_value());
    CAISSON_ASSERT_OK_AND_ASSIGN(const Reader reader, OpenBytes(FileOf(code)));
    EXPECT_THAT(reader.Load(), StatusIs(StatusCode::kUnsupported));
    LoadOptions options;
    options.keep_unknown = true;
    CAISSON_EXPECT_OK(reader.Load(options).status());
    CAISSON_EXPECT_OK(reader.Verify().status());
  }
  EXPECT_FALSE(std::filesystem::exists(witness));
}

}  // namespace
}  // namespace caisson::torch
