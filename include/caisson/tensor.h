// SPDX-License-Identifier: Apache-2.0
//
// Tensors: a dtype, a shape and strides over a storage that may be shared.
//
// A Storage is one flat buffer, held by shared handle. Views share a storage
// exactly when they hold the same handle, so that sharing survives a round
// trip through a file. Handles may be copied between threads; the objects
// they name follow the rules of plain structs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/dtype.h"
#include "caisson/memory.h"
#include "caisson/status.h"
#include "caisson/text.h"

namespace caisson {

// A flat buffer that tensors view.
struct Storage {
  // The bytes, in native byte order; those of an untyped storage as the file
  // has them. region.data is null while the bytes are only described: a file
  // was opened and this storage was not loaded.
  Region region;

  // The element type that the file's storage class names; none for an
  // untyped storage.
  std::optional<DType> dtype;

  // Where torch.load is told to put it: "cpu", "cuda:0", "meta".
  Text location = "cpu";

  // Keeps region.data alive; null when the caller keeps it alive.
  std::shared_ptr<const void> owner;

  bool resident() const { return region.data != nullptr || region.bytes == 0; }
};

using StorageHandle = std::shared_ptr<Storage>;

// What a tensor is, apart from where its bytes lie.
struct TensorSpec {
  std::string name;  // the path in its state joined by '.'; may be empty
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // elements; no entry for a scalar

  // Product of the shape; 1 for a scalar. UINT64_MAX when it overflows or a
  // dimension is negative.
  uint64_t elems() const;

  // Bytes of the dense tensor, rounded up to whole bytes. UINT64_MAX when it
  // overflows.
  uint64_t bytes() const;
};

// A view of a storage.
struct TensorView {
  TensorSpec spec;
  StorageHandle storage;         // never null in a valid view
  uint64_t offset = 0;           // of the first element; elements of spec.dtype
  std::vector<int64_t> strides;  // elements, one for each dimension, >= 0
  bool requires_grad = false;
  bool conj = false;  // the values are the conjugates of the stored ones
  bool neg = false;   // the values are the negatives of the stored ones

  // True when the elements are dense and in row-major order. Dimensions of
  // size 1 may have any stride; a tensor without elements is contiguous.
  bool contiguous() const;

  // kInvalidArgument if the view is not one: no storage, a negative size or
  // stride, more than kMaxDims dimensions, or an element outside the storage.
  Status Validate() const;
};

// PyTorch's and our limit on the number of dimensions.
inline constexpr size_t kMaxDims = 64;

// Row-major strides of a dense tensor of that shape, as torch computes them.
std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& shape);

// A dense tensor over `data`, in a storage of its own. The storage class is
// the one that torch.save uses for `dtype`. `owner` keeps `data` alive; without
// one the caller does.
//
// REQUIRES: `data` holds the bytes of that dtype and shape; dtype fills whole
// bytes.
TensorView DenseTensor(DType dtype, std::vector<int64_t> shape, void* data,
                       std::shared_ptr<const void> owner = nullptr);

}  // namespace caisson
