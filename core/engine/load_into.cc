// SPDX-License-Identifier: Apache-2.0
//
// Reader::LoadInto: a file into the tensors of a state that exists.
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/reader_impl.h"
#include "core/engine/storage_io.h"

namespace caisson {
namespace {

// A path as one text that no other path gives.
std::string KeyOf(const Path& path) {
  std::string key;
  for (const PathStep& step : path) {
    const auto* text = std::get_if<std::string>(&step);
    const std::string part =
        text != nullptr ? *text : std::to_string(std::get<int64_t>(step));
    key += (text != nullptr ? 's' : 'i') + std::to_string(part.size());
    key += ':' + part;
  }
  return key;
}

struct Pair {
  const TensorInfo* info;    // in the file
  const TensorView* target;  // in the caller's state
};

Status CheckPair(const Pair& pair) {
  const TensorSpec& file = pair.info->view.spec;
  const TensorSpec& state = pair.target->spec;
  const std::string tensor = "tensor '" + file.name + "': ";
  if (file.dtype != state.dtype) {
    return Status::InvalidArgument(
        tensor + "the file has " + std::string(Name(file.dtype)) +
        ", the state " + std::string(Name(state.dtype)));
  }
  if (file.shape != state.shape) {
    return Status::InvalidArgument(tensor + "the shapes differ");
  }
  if (ByteWidth(file.dtype) == 0) {
    return Status::Unsupported(tensor + "a packed type; load it instead");
  }
  CAISSON_RETURN_IF_ERROR(pair.target->Validate());
  if (!pair.target->storage->resident()) {
    return Status::InvalidArgument(tensor + "the target has no memory");
  }
  if (!pair.target->storage->region.device.is_cpu()) {
    return Status::Unavailable(tensor + "this build reads into host memory");
  }
  return Status::Ok();
}

// Stores dense elements where a strided view wants them.
void Scatter(std::span<const std::byte> src, const TensorView& view) {
  const size_t width = ByteWidth(view.spec.dtype);
  const auto& shape = view.spec.shape;
  std::vector<int64_t> index(shape.size(), 0);
  std::byte* base = view.storage->region.data + view.offset * width;
  for (size_t at = 0; at < src.size(); at += width) {
    int64_t offset = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      offset += index[d] * view.strides[d];
    }
    std::memcpy(base + static_cast<size_t>(offset) * width, &src[at], width);
    for (size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) {
      index[d] = 0;
    }
  }
}

Status Fill(const ByteSource& source, const StorageLayout& storage,
            const Pair& pair, CrcCheck check) {
  const TensorView& target = *pair.target;
  const size_t bytes = static_cast<size_t>(target.spec.bytes());
  if (bytes == 0) return Status::Ok();
  if (target.contiguous()) {
    std::byte* data = target.storage->region.data +
                      target.offset * ByteWidth(target.spec.dtype);
    return ReadView(source, storage, pair.info->view, {data, bytes}, check)
        .status();
  }
  CAISSON_ASSIGN_OR_RETURN(const Buffer dense, Buffer::Allocate(bytes));
  CAISSON_RETURN_IF_ERROR(
      ReadView(source, storage, pair.info->view, dense.bytes(), check)
          .status());
  Scatter(dense.bytes(), target);
  return Status::Ok();
}

}  // namespace

Status Reader::LoadInto(State& state, const LoadIntoOptions& options) const {
  CAISSON_ASSIGN_OR_RETURN(const auto targets, state.Tensors());
  std::unordered_map<std::string, const TensorInfo*> in_file;
  for (const TensorInfo& info : impl_->infos) {
    in_file.emplace(KeyOf(info.path), &info);
  }
  std::vector<Pair> pairs;
  std::set<const TensorInfo*> used;
  for (const NamedTensor& target : targets) {
    const auto found = in_file.find(KeyOf(target.path));
    if (found == in_file.end()) {
      return Status::NotFound(impl_->source.name() + ": no tensor '" +
                              Join(target.path) + "'");
    }
    pairs.push_back({found->second, target.view});
    CAISSON_RETURN_IF_ERROR(CheckPair(pairs.back()));
    used.insert(found->second);
  }
  if (!options.allow_unused && used.size() != impl_->infos.size()) {
    for (const TensorInfo& info : impl_->infos) {
      if (used.contains(&info)) continue;
      return Status::InvalidArgument("the state has no tensor '" +
                                     info.view.spec.name +
                                     "', but the file has");
    }
  }
  const CrcCheck check = options.verify ? CrcCheck::kOn : CrcCheck::kOff;
  for (const Pair& pair : pairs) {
    CAISSON_RETURN_IF_ERROR(
        Fill(impl_->source, impl_->StorageOf(*pair.info), pair, check));
  }
  return Status::Ok();
}

}  // namespace caisson
