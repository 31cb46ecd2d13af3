// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/state_parts.h"

#include <unordered_map>

#include "caisson/tensor.h"
#include "core/base/status_macros.h"
#include "core/formats/torch/torch_writer.h"

namespace caisson {
namespace {

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

}  // namespace

Status Explained(const Status& status, const State& state,
                 const std::string& path) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return NamingTensor(status, state).WithContext(path);
}

Result<std::unique_ptr<PartStream>> PartsOf(
    const State& state, const std::string& path,
    const std::optional<Profile>& profile) {
  CAISSON_RETURN_IF_ERROR(CheckSuffix(path));
  Profile chosen = profile.value_or(state.profile);
  if (!chosen.prefix) {
    CAISSON_ASSIGN_OR_RETURN(chosen.prefix, torch::PrefixFor(path));
  }
  auto parts = torch::WriteTorchArchive(state, chosen);
  if (!parts) return Explained(parts.error(), state, path);
  return parts;
}

}  // namespace caisson
