// SPDX-License-Identifier: Apache-2.0
#include "caisson/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace caisson {
namespace {

struct Expected {
  DType dtype;
  std::string_view name;
  size_t bits;
  size_t swap;  // bytes
  std::string_view torch_class;
  std::string_view safetensors;
};

// formats.md 2.5 and 4.3, typed in from there.
constexpr Expected kExpected[] = {
    {DType::kFloat64, "float64", 64, 8, "DoubleStorage", "F64"},
    {DType::kFloat32, "float32", 32, 4, "FloatStorage", "F32"},
    {DType::kFloat16, "float16", 16, 2, "HalfStorage", "F16"},
    {DType::kBFloat16, "bfloat16", 16, 2, "BFloat16Storage", "BF16"},
    {DType::kInt64, "int64", 64, 8, "LongStorage", "I64"},
    {DType::kInt32, "int32", 32, 4, "IntStorage", "I32"},
    {DType::kInt16, "int16", 16, 2, "ShortStorage", "I16"},
    {DType::kInt8, "int8", 8, 1, "CharStorage", "I8"},
    {DType::kUInt8, "uint8", 8, 1, "ByteStorage", "U8"},
    {DType::kBool, "bool", 8, 1, "BoolStorage", "BOOL"},
    {DType::kComplex128, "complex128", 128, 8, "ComplexDoubleStorage", ""},
    {DType::kComplex64, "complex64", 64, 4, "ComplexFloatStorage", "C64"},
    {DType::kComplex32, "complex32", 32, 2, "", ""},
    {DType::kUInt64, "uint64", 64, 8, "", "U64"},
    {DType::kUInt32, "uint32", 32, 4, "", "U32"},
    {DType::kUInt16, "uint16", 16, 2, "", "U16"},
    {DType::kFloat8E5M2, "float8_e5m2", 8, 1, "", "F8_E5M2"},
    {DType::kFloat8E4M3Fn, "float8_e4m3fn", 8, 1, "", "F8_E4M3"},
    {DType::kFloat8E5M2FnUz, "float8_e5m2fnuz", 8, 1, "", "F8_E5M2FNUZ"},
    {DType::kFloat8E4M3FnUz, "float8_e4m3fnuz", 8, 1, "", "F8_E4M3FNUZ"},
    {DType::kFloat8E8M0Fnu, "float8_e8m0fnu", 8, 1, "", "F8_E8M0"},
    {DType::kFloat4E2M1FnX2, "float4_e2m1fn_x2", 8, 1, "", "F4"},
    {DType::kFloat6E2M3, "float6_e2m3", 6, 1, "", "F6_E2M3"},
    {DType::kFloat6E3M2, "float6_e3m2", 6, 1, "", "F6_E3M2"},
    {DType::kQInt8, "qint8", 8, 1, "QInt8Storage", ""},
    {DType::kQUInt8, "quint8", 8, 1, "QUInt8Storage", ""},
    {DType::kQInt32, "qint32", 32, 4, "QInt32Storage", ""},
    {DType::kQUInt4x2, "quint4x2", 4, 1, "QUInt4x2Storage", ""},
    {DType::kQUInt2x4, "quint2x4", 2, 1, "QUInt2x4Storage", ""},
    {DType::kBits8, "bits8", 8, 1, "", ""},
    {DType::kBits1x8, "bits1x8", 8, 1, "", ""},
    {DType::kBits2x4, "bits2x4", 8, 1, "", ""},
    {DType::kBits4x2, "bits4x2", 8, 1, "", ""},
    {DType::kBits16, "bits16", 16, 2, "", ""},
    {DType::kUInt1, "uint1", 8, 1, "", ""},
    {DType::kUInt2, "uint2", 8, 1, "", ""},
    {DType::kUInt3, "uint3", 8, 1, "", ""},
    {DType::kUInt4, "uint4", 8, 1, "", ""},
    {DType::kUInt5, "uint5", 8, 1, "", ""},
    {DType::kUInt6, "uint6", 8, 1, "", ""},
    {DType::kUInt7, "uint7", 8, 1, "", ""},
    {DType::kInt1, "int1", 8, 1, "", ""},
    {DType::kInt2, "int2", 8, 1, "", ""},
    {DType::kInt3, "int3", 8, 1, "", ""},
    {DType::kInt4, "int4", 8, 1, "", ""},
    {DType::kInt5, "int5", 8, 1, "", ""},
    {DType::kInt6, "int6", 8, 1, "", ""},
    {DType::kInt7, "int7", 8, 1, "", ""},
};

TEST(DType, ListsEveryRowInOrder) {
  ASSERT_EQ(AllDTypes().size(), std::size(kExpected));
  for (size_t i = 0; i < std::size(kExpected); ++i) {
    EXPECT_EQ(AllDTypes()[i], kExpected[i].dtype) << kExpected[i].name;
  }
}

TEST(DType, HasTheWidthsOfItsRow) {
  for (const Expected& row : kExpected) {
    EXPECT_EQ(BitWidth(row.dtype), row.bits) << row.name;
    EXPECT_EQ(ByteWidth(row.dtype), row.bits % 8 == 0 ? row.bits / 8 : 0)
        << row.name;
    EXPECT_EQ(SwapWidth(row.dtype), row.swap) << row.name;
  }
}

TEST(DType, IsFoundByEachOfItsNames) {
  for (const Expected& row : kExpected) {
    EXPECT_EQ(Name(row.dtype), row.name);
    EXPECT_EQ(ParseDType(row.name), row.dtype) << row.name;
    EXPECT_EQ(TorchStorageClass(row.dtype), row.torch_class) << row.name;
    EXPECT_EQ(SafetensorsName(row.dtype), row.safetensors) << row.name;
    if (!row.torch_class.empty()) {
      EXPECT_EQ(ParseTorchStorageClass(row.torch_class), row.dtype);
    }
    if (!row.safetensors.empty()) {
      EXPECT_EQ(ParseSafetensorsName(row.safetensors), row.dtype);
    }
  }
}

TEST(DType, HasAsManyNamesAsTheFormatsDefine) {
  std::set<std::string_view> names, classes, safetensors;
  for (const DType dtype : AllDTypes()) {
    names.insert(Name(dtype));
    classes.insert(TorchStorageClass(dtype));
    safetensors.insert(SafetensorsName(dtype));
  }
  classes.erase("");
  safetensors.erase("");
  EXPECT_EQ(names.size(), AllDTypes().size());
  EXPECT_EQ(classes.size(), 17u);      // formats.md 2.5, without the untyped
  EXPECT_EQ(safetensors.size(), 22u);  // formats.md 4.3
}

// As torch 2.13's is_floating_point, and the two types that it lacks.
TEST(DType, KnowsWhatIsFloating) {
  std::set<std::string_view> floating;
  for (const DType dtype : AllDTypes()) {
    if (IsFloating(dtype)) floating.insert(Name(dtype));
  }
  EXPECT_EQ(floating, (std::set<std::string_view>{
                          "float64", "float32", "float16", "bfloat16",
                          "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz",
                          "float8_e4m3fnuz", "float8_e8m0fnu",
                          "float4_e2m1fn_x2", "float6_e2m3", "float6_e3m2"}));
}

TEST(DType, RefusesNamesThatNobodyHas) {
  for (const std::string_view name :
       {"", "float", "Float32", "float32 ", "torch.float32", "half", "F32",
        "FloatStorage"}) {
    EXPECT_EQ(ParseDType(name), std::nullopt) << name;
  }
  for (const std::string_view name :
       {"", "UntypedStorage", "TypedStorage", "floatstorage", "Float", "F32"}) {
    EXPECT_EQ(ParseTorchStorageClass(name), std::nullopt) << name;
  }
  for (const std::string_view name :
       {"", "f32", "F32 ", "C128", "F8", "float32", "BF16\n"}) {
    EXPECT_EQ(ParseSafetensorsName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace caisson
