// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/dense_tensors.h"

#include <memory>
#include <span>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "kernels/kernel_table.h"

namespace caisson {
namespace {

Result<TensorView> DenseCopy(const TensorView& view,
                             const KernelTable& kernels) {
  const DType dtype = view.spec.dtype;
  if (!view.storage->resident()) {
    return Status::InvalidArgument(
        "a view that is not contiguous, of a storage that is not in memory; "
        "load it first");
  }
  if (!view.storage->region.device.is_cpu()) {
    return Status::Unavailable("a view that is not contiguous, on " +
                               Name(view.storage->region.device));
  }
  if (ByteWidth(dtype) == 0) {
    return Status::Unsupported("a view that is not contiguous, of " +
                               std::string(Name(dtype)));
  }
  CAISSON_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(view.spec.bytes()));
  const auto owner = std::make_shared<Buffer>(std::move(buffer));
  Step step;
  step.from = step.to = dtype;
  const Strides strides = {view.spec.shape, view.strides};
  Job job;
  job.src = view.storage->region.data + view.offset * ByteWidth(dtype);
  job.dst = owner->data();
  job.elems = view.spec.elems();
  job.view = &strides;
  CAISSON_RETURN_IF_ERROR(kernels.transform(step, std::span(&job, 1), {}, {}));
  return DenseTensor(dtype, view.spec.shape, owner->data(), owner);
}

}  // namespace

Status MakeDense(std::vector<FlatTensor>* tensors) {
  CAISSON_ASSIGN_OR_RETURN(const KernelTable* kernels,
                           KernelsFor(Device::Cpu()));
  for (FlatTensor& tensor : *tensors) {
    if (tensor.view.contiguous()) continue;
    Result<TensorView> dense = DenseCopy(tensor.view, *kernels);
    if (!dense) {
      return dense.error().WithContext("tensor '" + tensor.name + "'");
    }
    tensor.view = *std::move(dense);
  }
  return Status::Ok();
}

}  // namespace caisson
