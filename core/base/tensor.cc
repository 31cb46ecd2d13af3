// SPDX-License-Identifier: Apache-2.0
#include "caisson/tensor.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/base/checked_math.h"

namespace caisson {
namespace {

constexpr uint64_t kOverflow = std::numeric_limits<uint64_t>::max();

// Bytes of `elems` elements, rounded up. Eight of any width fill whole bytes,
// so that no count of bits can overflow before the bytes do.
std::optional<uint64_t> CheckedBytes(uint64_t elems, DType dtype) {
  const uint64_t bits = BitWidth(dtype);
  const auto whole = CheckedMul(elems / 8, bits);
  return whole ? CheckedAdd(*whole, (elems % 8 * bits + 7) / 8) : std::nullopt;
}

}  // namespace

uint64_t TensorSpec::elems() const {
  return CheckedElems(shape).value_or(kOverflow);
}

uint64_t TensorSpec::bytes() const {
  const auto count = CheckedElems(shape);
  return count ? CheckedBytes(*count, dtype).value_or(kOverflow) : kOverflow;
}

bool TensorView::contiguous() const {
  if (spec.elems() == 0) return true;
  if (strides.size() != spec.shape.size()) return false;
  int64_t expected = 1;
  for (size_t d = spec.shape.size(); d-- > 0;) {
    if (spec.shape[d] == 1) continue;
    if (strides[d] != expected) return false;
    if (__builtin_mul_overflow(expected, spec.shape[d], &expected)) {
      return false;
    }
  }
  return true;
}

Status TensorView::Validate() const {
  const auto problem = [this](const std::string& what) {
    return Status::InvalidArgument("tensor '" + spec.name + "': " + what);
  };
  if (storage == nullptr) return problem("no storage");
  if (spec.shape.size() > kMaxDims) {
    return problem(std::to_string(spec.shape.size()) + " dimensions, at most " +
                   std::to_string(kMaxDims));
  }
  if (strides.size() != spec.shape.size()) {
    return problem(std::to_string(spec.shape.size()) + " sizes but " +
                   std::to_string(strides.size()) + " strides");
  }
  const auto elems = CheckedElems(spec.shape);
  if (!elems) return problem("a negative size, or too many elements");
  const auto extent = CheckedExtent(offset, spec.shape, strides);
  const auto needed = extent ? CheckedBytes(*extent, spec.dtype) : std::nullopt;
  if (!needed) return problem("a negative stride, or an offset out of range");
  if (*elems > 0 && *needed > storage->region.bytes) {
    return problem("needs " + std::to_string(*needed) +
                   " bytes of a storage that has " +
                   std::to_string(storage->region.bytes));
  }
  return Status::Ok();
}

std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t next = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = next;
    // torch counts an empty dimension as one element here. No storage is
    // large enough for a stride that overflows.
    if (shape[d] > 1 && __builtin_mul_overflow(next, shape[d], &next)) {
      next = std::numeric_limits<int64_t>::max();
    }
  }
  return strides;
}

TensorView DenseTensor(DType dtype, std::vector<int64_t> shape, void* data,
                       std::shared_ptr<const void> owner) {
  // One object, as the constant is in torch: pickles repeat it by reference.
  static const Text kCpu = "cpu";
  TensorView view;
  view.strides = RowMajorStrides(shape);
  view.spec.dtype = dtype;
  view.spec.shape = std::move(shape);
  view.storage = std::make_shared<Storage>();
  view.storage->region = {static_cast<std::byte*>(data),
                          static_cast<size_t>(view.spec.bytes()),
                          Device::Cpu()};
  if (!TorchStorageClass(dtype).empty()) view.storage->dtype = dtype;
  view.storage->location = kCpu;
  view.storage->owner = std::move(owner);
  return view;
}

}  // namespace caisson
