// SPDX-License-Identifier: Apache-2.0
#include "caisson/reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/crc32.h"
#include "core/base/state_clone.h"
#include "core/base/state_steps.h"
#include "core/base/status_macros.h"
#include "core/engine/codec/compression_choice.h"
#include "core/engine/read/open_file.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/torch/allowed_globals.h"

namespace caisson {
namespace {

// Of all pieces together; none if one has none.
std::optional<uint32_t> CrcOf(const StorageLayout& storage) {
  if (storage.pieces.empty()) return std::nullopt;
  const size_t width = std::max<size_t>(ByteWidth(storage.dtype), 1);
  uint32_t crc = 0;
  for (const Piece& piece : storage.pieces) {
    if (!piece.crc32) return std::nullopt;
    crc = Crc32Combine(crc, *piece.crc32, piece.elems * width);
  }
  return crc;
}

TensorInfo InfoOf(const TensorLayout& tensor, const StorageLayout& storage,
                  const std::vector<std::string>& sources) {
  TensorInfo info;
  const uint32_t source =
      storage.pieces.empty() ? 0 : storage.pieces.front().source;
  info.file = sources[source];
  info.path = tensor.path;
  info.view = tensor.view;
  info.record = storage.record;
  for (const Piece& piece : storage.pieces) {
    info.stored_bytes += piece.stored_bytes;
  }
  if (!storage.pieces.empty()) {
    info.offset = storage.pieces.front().offset;
    info.compression = CompressionOf(storage.pieces.front().encoding);
  }
  info.stored_bytes += storage.index_bytes;
  info.crc32 = CrcOf(storage);
  return info;
}

}  // namespace

Reader::Impl::Impl(OpenedFile opened)
    : source(std::move(opened.source)),
      shards(std::move(opened.shards)),
      layout(std::move(opened.layout)),
      unknown(std::move(opened.unknown)) {
  infos.reserve(layout.tensors.size());
  for (const TensorLayout& tensor : layout.tensors) {
    infos.push_back(
        InfoOf(tensor, layout.storages[tensor.storage], layout.sources));
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
  if (shards.empty()) return reads.Run(source, tasks, on_error);
  // A storage lies in one file.
  std::vector<std::vector<size_t>> of_source(1 + shards.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    of_source[tasks[i].storage->pieces.front().source].push_back(i);
  }
  for (size_t s = 0; s < of_source.size(); ++s) {
    if (of_source[s].empty()) continue;
    std::vector<ReadTask> part;
    for (const size_t i : of_source[s]) part.push_back(tasks[i]);
    const Status ran =
        reads.Run(s == 0 ? source : shards[s - 1], part, on_error);
    for (size_t k = 0; k < part.size(); ++k) tasks[of_source[s][k]] = part[k];
    if (on_error == OnError::kStop) CAISSON_RETURN_IF_ERROR(ran);
  }
  for (const ReadTask& task : tasks) CAISSON_RETURN_IF_ERROR(task.status);
  return Status::Ok();
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
  for (const ByteSource& shard : impl_->shards) {
    // What was decoded is no file of its own.
    if (shard.name() != impl_->source.name()) bytes += shard.size();
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

bool IsLoadable(const Global& global) {
  return torch::ClassifyGlobal(global) != pickle::Trust::kUnknown;
}

}  // namespace caisson
