// SPDX-License-Identifier: Apache-2.0
#include "caisson/writer.h"

#include <chrono>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/part_writer.h"
#include "core/formats/torch/torch_writer.h"
#include "core/io/atomic_file.h"

namespace caisson {
namespace {

// What is wrong with the first tensor that cannot be saved; `status` if there
// is none.
Status NamingTensor(const Status& status, const State& state) {
  const auto tensors = state.Tensors();
  if (!tensors) return status;
  std::unordered_map<const Storage*, TensorSpec> seen;
  for (const NamedTensor& tensor : *tensors) {
    TensorView view = *tensor.view;
    view.spec.name = Join(tensor.path);
    CAISSON_RETURN_IF_ERROR(view.Validate());
    const TensorSpec& first =
        seen.emplace(view.storage.get(), view.spec).first->second;
    const std::string problem = "tensor '" + view.spec.name + "': ";
    if (TorchStorageClass(first.dtype) != TorchStorageClass(view.spec.dtype)) {
      return Status::InvalidArgument(
          problem + "views a storage as " + std::string(Name(view.spec.dtype)) +
          " that '" + first.name + "' views as " +
          std::string(Name(first.dtype)) + "; a PyTorch file cannot hold both");
    }
    if (!view.storage->resident()) {
      return Status::InvalidArgument(
          problem + "its storage of " +
          std::to_string(view.storage->region.bytes) +
          " bytes is not in memory; load it first");
    }
  }
  return status;
}

// `status` of a write, with the paths of the file and of the first tensor that
// cannot be saved, if there is one.
Status Explained(const Status& status, const State& state,
                 const std::string& path) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return NamingTensor(status, state).WithContext(path);
}

// A PyTorch file must not pass for one of another format.
Status CheckSuffix(const std::string& path) {
  for (const char* other : {".safetensors", ".minidb", ".pb", ".pbtxt"}) {
    if (path.ends_with(other)) {
      return Status::Unsupported(path + ": this build writes PyTorch files (" +
                                 ".pt, .pth, .bin), not " + other);
    }
  }
  return Status::Ok();
}

}  // namespace

class Writer::Impl {
 public:
  explicit Impl(WriteOptions options) : options_(std::move(options)) {}

  Result<WriteReport> Write(const State& state, const std::string& path) {
    const auto start = std::chrono::steady_clock::now();
    CAISSON_RETURN_IF_ERROR(CheckSuffix(path));
    CAISSON_RETURN_IF_ERROR(PrepareWindow());
    Profile profile = options_.profile.value_or(state.profile);
    if (!profile.prefix) {
      CAISSON_ASSIGN_OR_RETURN(profile.prefix, torch::PrefixFor(path));
    }
    // What the format refuses is refused before a file exists.
    const auto parts = torch::WriteTorchArchive(state, profile);
    if (!parts) return Explained(parts.error(), state, path);
    AtomicFileOptions atomic;
    atomic.sync = options_.sync;
    CAISSON_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, atomic));
    const auto totals = WriteParts(**parts, file.file(), window_.bytes());
    if (!totals) return Explained(totals.error(), state, path);
    CAISSON_RETURN_IF_ERROR(file.Commit());
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    return WriteReport{totals->file_bytes, totals->tensor_bytes,
                       elapsed.count()};
  }

 private:
  Status PrepareWindow() {
    if (options_.window_bytes == 0 || options_.window_bytes % 4096 != 0) {
      return Status::InvalidArgument("a window of " +
                                     std::to_string(options_.window_bytes) +
                                     " bytes, expected a multiple of 4096");
    }
    if (!window_.empty()) return Status::Ok();
    CAISSON_ASSIGN_OR_RETURN(window_, Buffer::Allocate(options_.window_bytes));
    return Status::Ok();
  }

  const WriteOptions options_;
  Buffer window_;  // kept, as first touches are slow
};

Writer::Writer(WriteOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

Result<WriteReport> Writer::Write(const State& state, const std::string& path) {
  return impl_->Write(state, path);
}

}  // namespace caisson
