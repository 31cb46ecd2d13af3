// SPDX-License-Identifier: Apache-2.0
#include "core/engine/write/state_parts.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <utility>

#include "caisson/tensor.h"
#include "core/base/status_macros.h"
#include "core/engine/read/open_file.h"
#include "core/engine/write/dense_tensors.h"
#include "core/formats/caffe2/caffe2_writer.h"
#include "core/formats/caffe2/tensor_message.h"
#include "core/formats/flat_tensors.h"
#include "core/formats/safetensors/safetensors_writer.h"
#include "core/formats/safetensors/shard_index.h"
#include "core/formats/torch/torch_writer.h"
#include "kernels/kernel_table.h"

namespace caisson {

std::string_view Name(FileFormat format) {
  switch (format) {
    case FileFormat::kSafetensors:
      return "safetensors";
    case FileFormat::kCaffe2:
      return "caffe2";
    default:
      return "pytorch";
  }
}

std::optional<FileFormat> FormatOf(std::string_view path) {
  if (path.ends_with(".safetensors")) return FileFormat::kSafetensors;
  if (caffe2::FormOfSuffix(path)) return FileFormat::kCaffe2;
  // A PyTorch file must not pass for one of another format.
  if (path.ends_with(".json")) return std::nullopt;
  return FileFormat::kPyTorch;
}

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

// What `losses` are, the first few.
std::string LossText(const std::vector<std::string>& losses) {
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t i = 0; i < std::min(losses.size(), kShown); ++i) {
    if (i > 0) text += "; ";
    text += losses[i];
  }
  if (losses.size() > kShown) {
    text += "; and " + std::to_string(losses.size() - kShown) + " more";
  }
  return text;
}

Result<SavePlan> PlanTorchSave(const State& state, const std::string& path,
                               const std::optional<Profile>& profile,
                               const CompressionWish& wish) {
  Profile chosen = profile.value_or(state.profile);
  if (!chosen.prefix) {
    CAISSON_ASSIGN_OR_RETURN(chosen.prefix, torch::PrefixFor(path));
  }
  SavePlan plan;
  std::optional<CompressionChooser> chooser;
  torch::EncodingChoice choose;
  if (wish.compress != CompressMode::kNone) {
    CAISSON_ASSIGN_OR_RETURN(const KernelTable* const kernels,
                             KernelsFor(Device::Cpu()));
    chooser.emplace(wish, state, *kernels);
    choose = [&](const Storage& storage, DType dtype) {
      return chooser->Choose(storage, dtype);
    };
  }
  auto parts = torch::WriteTorchArchive(state, chosen, choose);
  if (!parts) return Explained(parts.error(), state, path);
  if (chooser) {
    CAISSON_ASSIGN_OR_RETURN(plan.compression, chooser->Take());
  }
  plan.files.push_back({path, *std::move(parts)});
  return plan;
}

// A file of one literal.
class TextFile final : public PartStream {
 public:
  explicit TextFile(std::string text) : text_(std::move(text)) {}

  Result<std::optional<Part>> Next(const Facts&) override {
    if (std::exchange(given_, true)) return std::optional<Part>();
    const auto bytes = std::as_bytes(std::span(text_));
    return std::optional<Part>(Literal{{bytes.begin(), bytes.end()}});
  }

  uint64_t BytesBound() const override { return text_.size(); }

 private:
  const std::string text_;
  bool given_ = false;
};

// Adds the files for `tensors`, which do not fit into one, and their index.
Status AddShards(std::vector<FlatTensor> tensors, const std::string& path,
                 uint64_t shard_bytes, const safetensors::WriteOptions& options,
                 SavePlan* plan) {
  const size_t slash = path.find_last_of('/') + 1;
  const std::string folder = path.substr(0, slash);
  const std::string name = path.substr(slash);
  safetensors::ShardIndex index;
  auto runs = safetensors::SplitTensors(std::move(tensors), shard_bytes);
  if (runs.size() == 1) {
    CAISSON_ASSIGN_OR_RETURN(
        auto parts, safetensors::WriteSafetensors(std::move(runs[0]), options));
    plan->files.push_back({path, std::move(parts)});
    return Status::Ok();
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string shard = safetensors::ShardName(name, i, runs.size());
    for (const FlatTensor& tensor : runs[i]) {
      index.files.emplace(tensor.name, shard);
      index.total_size += tensor.view.spec.bytes();
    }
    CAISSON_ASSIGN_OR_RETURN(
        auto parts, safetensors::WriteSafetensors(std::move(runs[i]), options));
    plan->files.push_back({folder + shard, std::move(parts)});
  }
  plan->files.push_back({folder + safetensors::IndexName(name),
                         std::make_unique<TextFile>(IndexJson(index))});
  return Status::Ok();
}

// The dense tensors of `state` that a format of that name carries, of dtypes of
// which `holds` is true.
Result<FlatState> FlattenFor(const State& state, const std::string& path,
                             const FormatOptions& format,
                             const std::string& name,
                             const std::function<bool(DType)>& holds) {
  Result<FlatState> flat = Flatten(state, holds);
  if (!flat) return flat.error().WithContext(path);
  if (!format.drop && !flat->losses.empty()) {
    return Status::Unsupported(path + ": a " + name + " file cannot carry " +
                               LossText(flat->losses) +
                               " (drop leaves it out)");
  }
  const Status dense = MakeDense(&flat->tensors);
  if (!dense.ok()) return dense.WithContext(path);
  return flat;
}

Result<SavePlan> PlanCaffe2Save(const State& state, const std::string& path,
                                const FormatOptions& format) {
  if (format.chunk_elems < -1) {
    return Status::InvalidArgument(path + ": chunks of " +
                                   std::to_string(format.chunk_elems) +
                                   " elements");
  }
  CAISSON_ASSIGN_OR_RETURN(
      FlatState flat, FlattenFor(state, path, format, "Caffe2", caffe2::Holds));
  caffe2::DbWriteOptions options;
  options.form = caffe2::FormOfSuffix(path).value_or(caffe2::Form::kMinidb);
  options.chunk_size = format.chunk_elems;
  if (format.append) {
    const auto old = OpenBuffered(path);
    if (old) options.append.emplace(*old);
    if (!old && old.error().code() != StatusCode::kNotFound) {
      return old.error();
    }
  }
  if (options.form == caffe2::Form::kProtodbText) {
    const std::vector<std::string> lost = caffe2::LostInText(flat.tensors);
    if (!lost.empty() && !format.drop) {
      return Status::Unsupported(path + ": text cannot carry " +
                                 LossText(lost) + " (drop leaves it out)");
    }
    flat.losses.insert(flat.losses.end(), lost.begin(), lost.end());
  }
  SavePlan plan;
  plan.dropped = std::move(flat.losses);
  auto parts = caffe2::WriteCaffe2(std::move(flat.tensors), options);
  if (!parts) return parts.error().WithContext(path);
  plan.files.push_back({path, *std::move(parts)});
  return plan;
}

Result<SavePlan> PlanFlatSave(const State& state, const std::string& path,
                              const FormatOptions& format) {
  CAISSON_ASSIGN_OR_RETURN(
      FlatState flat,
      FlattenFor(state, path, format, "safetensors", safetensors::Holds));
  SavePlan plan;
  plan.dropped = std::move(flat.losses);
  safetensors::WriteOptions options;
  options.metadata = state.metadata;
  options.checksums = format.checksums;
  const uint64_t most =
      format.shard_bytes == 0 ? UINT64_MAX : format.shard_bytes;
  const Status added =
      AddShards(std::move(flat.tensors), path, most, options, &plan);
  if (!added.ok()) return added.WithContext(path);
  return plan;
}

}  // namespace

Status Explained(const Status& status, const State& state,
                 const std::string& path) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  return NamingTensor(status, state).WithContext(path);
}

PlanReads ReadsOfPlan(const std::string& path, const FormatOptions& format,
                      CompressMode compress) {
  const std::optional<FileFormat> chosen =
      format.format ? format.format : FormatOf(path);
  if (compress != CompressMode::kNone) return PlanReads::kAll;
  if (chosen == FileFormat::kPyTorch) return PlanReads::kNothing;
  const bool text = chosen == FileFormat::kCaffe2 &&
                    caffe2::FormOfSuffix(path) == caffe2::Form::kProtodbText;
  return text ? PlanReads::kAll : PlanReads::kStrided;
}

uint64_t SavePlan::BytesBound() const {
  uint64_t bytes = 0;
  for (const PlannedFile& file : files) bytes += file.parts->BytesBound();
  return bytes;
}

Result<SavePlan> PlanSave(const State& state, const std::string& path,
                          const std::optional<Profile>& profile,
                          const FormatOptions& format,
                          const CompressionWish& wish) {
  const std::optional<FileFormat> chosen =
      format.format ? format.format : FormatOf(path);
  if (!chosen) {
    return Status::Unsupported(path + ": a suffix of another format than " +
                               "those that this build writes: PyTorch (.pt, " +
                               ".pth, .bin), .safetensors and Caffe2 " +
                               "(.minidb, .pb, .pbtxt)");
  }
  if (format.append && *chosen != FileFormat::kCaffe2) {
    return Status::InvalidArgument(path + ": only Caffe2's databases are " +
                                   "appended to");
  }
  if (*chosen == FileFormat::kSafetensors) {
    if (wish.compress == CompressMode::kDeflate ||
        wish.compress == CompressMode::kPlane) {
      return Status::Unsupported(path + ": safetensors files are not " +
                                 "compressed; PyTorch files are");
    }
    return PlanFlatSave(state, path, format);
  }
  if (format.shard_bytes != 0) {
    return Status::InvalidArgument(path + ": only safetensors files are " +
                                   "split into shards");
  }
  if (*chosen == FileFormat::kCaffe2) {
    return PlanCaffe2Save(state, path, format);
  }
  return PlanTorchSave(state, path, profile, wish);
}

}  // namespace caisson
