// SPDX-License-Identifier: Apache-2.0
#include "caisson/reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/state_clone.h"
#include "core/base/state_steps.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/compression_choice.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/read/open_file.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/read/run_across.h"
#include "core/engine/read/storage_crc.h"
#include "core/formats/torch/allowed_globals.h"

namespace caisson {
namespace {

TensorInfo InfoOf(const TensorLayout& tensor, const Layout& layout) {
  const StorageLayout& storage = layout.storages[tensor.storage];
  TensorInfo info;
  const uint32_t source =
      storage.pieces.empty() ? 0 : storage.pieces.front().source;
  info.file = layout.sources[source];
  info.path = tensor.path;
  info.view = tensor.view;
  info.record = storage.record;
  info.stored_bytes = StoredBytesOf(storage);
  if (!storage.pieces.empty()) {
    info.offset = storage.pieces.front().offset;
    info.compression = CompressionOf(storage.pieces.front().encoding);
  }
  info.crc32 = CrcOf(storage);
  return info;
}

}  // namespace

Reader::Impl::Impl(OpenedFile opened)
    : source(std::move(opened.source)),
      shards(std::move(opened.shards)),
      layout(std::move(opened.layout)),
      unknown(std::move(opened.unknown)),
      checkpoint(std::move(opened.checkpoint)) {
  infos.reserve(layout.tensors.size());
  for (const TensorLayout& tensor : layout.tensors) {
    infos.push_back(InfoOf(tensor, layout));
  }
  by_name_.reserve(infos.size());
  for (size_t i = 0; i < infos.size(); ++i) {
    by_name_.emplace_back(infos[i].view.spec.name, i);
  }
  std::ranges::sort(by_name_);
}

std::span<const Reader::Impl::Named> Reader::Impl::AllNamed(
    std::string_view name) const {
  const auto first =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [](const Named& named, std::string_view key) {
                         return named.first < key;
                       });
  const auto last =
      std::find_if(first, by_name_.end(),
                   [&](const Named& named) { return named.first != name; });
  return {first, last};
}

Status Reader::Impl::Run(std::span<ReadTask> tasks, ReadExecutor& reads,
                         OnError on_error) const {
  return RunAcross(source, shards, tasks, reads, on_error);
}

Status Reader::Impl::CheckGlobals() const {
  if (unknown.empty()) return Status::Ok();
  std::string names = unknown.front().dotted();
  if (unknown.size() > 1) {
    names += " and " + std::to_string(unknown.size() - 1) + " more";
  }
  return Status::Unsupported(source.name() + ": the global " + names +
                             ", which torch.load(weights_only=True) refuses");
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Result<Reader> Reader::Impl::Open(const std::string& path,
                                  const ReaderOptions& options,
                                  const OpenAdapter& open) {
  CAISSON_ASSIGN_OR_RETURN(OpenedFile opened, OpenPath(path, options, open));
  return Reader(std::make_unique<Impl>(std::move(opened)));
}

Result<Reader> Reader::Open(const std::string& path,
                            const ReaderOptions& options) {
  return Impl::Open(path, options, OpenBuffered);
}

Result<Reader> Reader::Open(std::shared_ptr<const ReadAdapter> adapter,
                            const ReaderOptions& options) {
  CAISSON_ASSIGN_OR_RETURN(OpenedFile opened,
                           OpenFile(std::move(adapter), options));
  return Reader(std::make_unique<Impl>(std::move(opened)));
}

const std::string& Reader::format() const { return impl_->layout.format; }

uint64_t Reader::file_bytes() const {
  uint64_t bytes = impl_->source.size();
  // What was decoded, or put together, is no file of its own.
  std::unordered_set<std::string_view> known = {impl_->source.name()};
  for (const ByteSource& shard : impl_->shards) {
    if (known.insert(shard.name()).second) bytes += shard.size();
  }
  return bytes;
}

std::span<const std::string> Reader::warnings() const {
  return impl_->layout.warnings;
}

std::span<const TensorInfo> Reader::tensors() const { return impl_->infos; }

std::vector<std::string> Reader::extra_records() const {
  std::vector<std::string> names;
  for (const OtherRecord& other : impl_->layout.others) {
    if (other.extra) names.push_back(other.record);
  }
  return names;
}

std::span<const Global> Reader::unknown_globals() const {
  return impl_->unknown;
}

const State& Reader::state() const { return impl_->layout.state; }

Result<State> Reader::Outline(bool keep_unknown) const {
  if (!keep_unknown) CAISSON_RETURN_IF_ERROR(impl_->CheckGlobals());
  State outline = state();
  outline.root = CloneTree(
      outline.root, [](const StorageHandle& storage) { return storage; });
  return outline;
}

Result<const TensorInfo*> Reader::Find(std::string_view name) const {
  const auto named = impl_->AllNamed(name);
  if (named.empty()) {
    return Status::NotFound(impl_->source.name() + ": no tensor '" +
                            std::string(name) + "'");
  }
  if (named.size() > 1) {
    std::string problem =
        impl_->source.name() + ": '" + std::string(name) + "' is the name of " +
        Spelled(impl_->infos[named[0].second].path) + " and of " +
        Spelled(impl_->infos[named[1].second].path);
    if (named.size() > 2) {
      problem += " and of " + std::to_string(named.size() - 2) + " more";
    }
    return Status::InvalidArgument(std::move(problem));
  }
  return &impl_->infos[named[0].second];
}

bool IsDistributedCheckpoint(const std::string& path) { return IsDcp(path); }

bool IsCheckpointShard(const std::string& path) { return IsDcpShard(path); }

bool IsLoadable(const Global& global) {
  return torch::ClassifyGlobal(global) != pickle::Trust::kUnknown;
}

}  // namespace caisson
