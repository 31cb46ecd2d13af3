// SPDX-License-Identifier: Apache-2.0
#include "caisson/dtype.h"

#include <array>
#include <iterator>

namespace caisson {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  uint8_t bits;
  uint8_t swap;                  // bytes
  std::string_view torch_class;  // formats.md 2.5
  std::string_view safetensors;  // formats.md 4.3
};

// One row for each enumerator, in their order.
constexpr Row kRows[] = {
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

constexpr auto kAll = [] {
  std::array<DType, std::size(kRows)> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = kRows[i].dtype;
  return all;
}();

constexpr bool RowsMatchEnumerators() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return std::size(kRows) == static_cast<size_t>(DType::kInt7) + 1;
}
static_assert(RowsMatchEnumerators());

const Row& RowOf(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

std::optional<DType> Search(std::string_view Row::*column,
                            std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Row& row : kRows) {
    if (row.*column == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace

std::span<const DType> AllDTypes() { return kAll; }

std::string_view Name(DType dtype) { return RowOf(dtype).name; }

std::optional<DType> ParseDType(std::string_view name) {
  return Search(&Row::name, name);
}

size_t BitWidth(DType dtype) { return RowOf(dtype).bits; }

size_t ByteWidth(DType dtype) {
  const size_t bits = BitWidth(dtype);
  return bits % 8 == 0 ? bits / 8 : 0;
}

size_t SwapWidth(DType dtype) { return RowOf(dtype).swap; }

bool IsFloating(DType dtype) {
  // "float32", "bfloat16", "float8_e5m2", "float4_e2m1fn_x2"
  const std::string_view name = Name(dtype);
  return name.starts_with("float") || name.starts_with("bfloat");
}

std::string_view TorchStorageClass(DType dtype) {
  return RowOf(dtype).torch_class;
}

std::optional<DType> ParseTorchStorageClass(std::string_view name) {
  return Search(&Row::torch_class, name);
}

std::string_view SafetensorsName(DType dtype) {
  return RowOf(dtype).safetensors;
}

std::optional<DType> ParseSafetensorsName(std::string_view name) {
  return Search(&Row::safetensors, name);
}

}  // namespace caisson
