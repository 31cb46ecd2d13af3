// SPDX-License-Identifier: Apache-2.0
//
// Reader::Read: tensors and blocks of them into the caller's memory.
#include <algorithm>
#include <string>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/engine/read/read_task.h"
#include "core/engine/read/reader_impl.h"

namespace caisson {
namespace {

Status Misfit(const ReadRequest& request, const std::string& problem) {
  return Status::InvalidArgument("tensor '" + request.tensor->view.spec.name +
                                 "': " + problem);
}

// Quantised types of less than a byte are read as their whole storage.
bool IsPacked(DType dtype) { return ByteWidth(dtype) == 0; }

// The part of the tensor that `request` asks for, as a view.
Result<TensorView> BlockOf(const ReadRequest& request) {
  TensorView view = request.tensor->view;
  if (request.block.empty()) return view;
  if (IsPacked(view.spec.dtype)) {
    return Misfit(request, "a block of a packed type");
  }
  if (request.block.size() != view.spec.shape.size()) {
    return Misfit(request,
                  std::to_string(request.block.size()) + " ranges for " +
                      std::to_string(view.spec.shape.size()) + " dimensions");
  }
  for (size_t d = 0; d < request.block.size(); ++d) {
    const Range range = request.block[d];
    if (range.begin < 0 || range.end < range.begin ||
        range.end > view.spec.shape[d]) {
      return Misfit(request, "range [" + std::to_string(range.begin) + ", " +
                                 std::to_string(range.end) +
                                 ") of a dimension of " +
                                 std::to_string(view.spec.shape[d]));
    }
    // Unsigned: a view without elements may have any strides.
    view.offset += static_cast<uint64_t>(range.begin) *
                   static_cast<uint64_t>(view.strides[d]);
    view.spec.shape[d] = range.end - range.begin;
  }
  return view;
}

}  // namespace

Result<ReadReport> Reader::Read(std::span<const ReadRequest> requests,
                                Stream) const {
  OneByOne reads;
  return impl_->Read(requests, reads);
}

Result<ReadReport> Reader::Impl::Read(std::span<const ReadRequest> requests,
                                      ReadExecutor& reads) const {
  std::vector<TensorView> views;
  for (const ReadRequest& request : requests) {
    if (!(request.tensor >= infos.data() &&
          request.tensor < infos.data() + infos.size())) {
      return Status::InvalidArgument("a tensor that is not of this reader");
    }
    CAISSON_ASSIGN_OR_RETURN(TensorView view, BlockOf(request));
    const uint64_t bytes = IsPacked(view.spec.dtype)
                               ? StorageOf(*request.tensor).bytes
                               : view.spec.bytes();
    if (request.dst.bytes != bytes) {
      return Misfit(request, "a destination of " +
                                 std::to_string(request.dst.bytes) +
                                 " bytes for " + std::to_string(bytes));
    }
    if (request.dst.data == nullptr && bytes > 0) {
      return Misfit(request, "a destination without memory");
    }
    if (!request.dst.device.is_cpu()) {
      const auto loader = reads.LoaderOf(request.dst.device);
      if (!loader.has_value()) return loader.error();
    }
    views.push_back(std::move(view));
  }
  std::vector<ReadTask> tasks(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const StorageLayout& storage = StorageOf(*requests[i].tensor);
    const bool whole =
        IsPacked(views[i].spec.dtype) || IsWhole(views[i], storage);
    tasks[i].kind = whole ? ReadTask::Kind::kWhole : ReadTask::Kind::kView;
    tasks[i].storage = &storage;
    tasks[i].view = &views[i];
    tasks[i].dst = {requests[i].dst.data, requests[i].dst.bytes};
    tasks[i].device = requests[i].dst.device;
  }
  CAISSON_RETURN_IF_ERROR(Run(tasks, reads, OnError::kStop));
  ReadReport report;
  for (const ReadTask& task : tasks) {
    report.checked.push_back(task.read.checked);
    report.bytes_read += task.read.file_bytes;
  }
  return report;
}

}  // namespace caisson
