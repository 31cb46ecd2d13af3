// SPDX-License-Identifier: Apache-2.0
//
// Element types, their widths, and their names in each file format.
//
// One enumerator for each type of PyTorch 2.13, safetensors 0.8 and Caffe2.
// All functions are pure and may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace caisson {

enum class DType : uint8_t {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,
  kComplex128,
  kComplex64,
  kComplex32,
  kUInt64,
  kUInt32,
  kUInt16,
  kFloat8E5M2,
  kFloat8E4M3Fn,
  kFloat8E5M2FnUz,
  kFloat8E4M3FnUz,
  kFloat8E8M0Fnu,
  kFloat4E2M1FnX2,  // two values in a byte; safetensors F4
  kFloat6E2M3,      // safetensors only
  kFloat6E3M2,      // safetensors only
  kQInt8,
  kQUInt8,
  kQInt32,
  kQUInt4x2,  // rows of packed values, each row filling whole bytes
  kQUInt2x4,
  kBits8,
  kBits1x8,
  kBits2x4,
  kBits4x2,
  kBits16,
  // Sub-byte integers; torch keeps each in a byte of its own.
  kUInt1,
  kUInt2,
  kUInt3,
  kUInt4,
  kUInt5,
  kUInt6,
  kUInt7,
  kInt1,
  kInt2,
  kInt3,
  kInt4,
  kInt5,
  kInt6,
  kInt7,
};

// Every DType, in the order of the enumeration.
std::span<const DType> AllDTypes();

// PyTorch's name without "torch.": "bfloat16". Types that PyTorch lacks have
// a name of the same form: "float6_e2m3".
std::string_view Name(DType dtype);

// The DType with that Name().
std::optional<DType> ParseDType(std::string_view name);

// Bits that one element takes in memory: a multiple of 8 for all but the two
// 6-bit types and the packed kQUInt4x2 (4) and kQUInt2x4 (2).
// kFloat4E2M1FnX2 counts a pair of values as one element.
size_t BitWidth(DType dtype);

// Bytes of one element; 0 for the types that do not fill whole bytes.
size_t ByteWidth(DType dtype);

// Bytes of the unit that is reversed between byte orders: the component of a
// complex type, else the element. 1 means that byte order does not matter.
size_t SwapWidth(DType dtype);

// Whether torch's is_floating_point is true of it, or, of the types that torch
// lacks, would be: every binary floating-point type, complex ones not.
bool IsFloating(DType dtype);

// The class in the module `torch` that names this type in the persistent id
// of a storage ("FloatStorage"), or empty where torch.save writes an
// UntypedStorage. formats.md 2.5.
std::string_view TorchStorageClass(DType dtype);

// The DType with that TorchStorageClass().
std::optional<DType> ParseTorchStorageClass(std::string_view name);

// The name in a safetensors header ("BF16"), or empty. formats.md 4.3.
std::string_view SafetensorsName(DType dtype);

// The DType with that SafetensorsName().
std::optional<DType> ParseSafetensorsName(std::string_view name);

}  // namespace caisson
