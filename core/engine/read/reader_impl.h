// SPDX-License-Identifier: Apache-2.0
//
// What a Reader holds. Constant once opened, hence safe on any thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/reader.h"
#include "core/base/byte_source.h"
#include "core/engine/read/open_file.h"
#include "core/engine/read/read_task.h"
#include "core/formats/layout.h"

namespace caisson {

class Reader::Impl {
 public:
  explicit Impl(OpenedFile opened);

  // Reader::Open(), with adapters of the caller's choice.
  static Result<Reader> Open(const std::string& path,
                             const ReaderOptions& options,
                             const OpenAdapter& open);

  static const Impl& Of(const Reader& reader) { return *reader.impl_; }

  // The storage that `info`, one of infos, views.
  const StorageLayout& StorageOf(const TensorInfo& info) const {
    return layout.storages[layout.tensors[&info - infos.data()].storage];
  }

  // A tensor's name and its position in infos.
  using Named = std::pair<std::string_view, size_t>;

  // Those called `name`: several where paths join to one name.
  std::span<const Named> AllNamed(std::string_view name) const;

  // kUnsupported, naming them, if the file has globals that torch.load would
  // refuse.
  Status CheckGlobals() const;

  // ReadExecutor::Run() of tasks that may lie in several files.
  Status Run(std::span<ReadTask> tasks, ReadExecutor& reads,
             OnError on_error) const;

  // Reader::Load and its kin, the payload read by `reads`.
  Result<State> Load(const LoadOptions& options, ReadExecutor& reads) const;
  Status LoadInto(State& state, const LoadIntoOptions& options,
                  ReadExecutor& reads) const;
  Result<ReadReport> Read(std::span<const ReadRequest> requests,
                          ReadExecutor& reads) const;
  // `held`: as of VerifyDcp().
  Result<VerifyReport> Verify(
      ReadExecutor& reads,
      std::vector<std::shared_ptr<const ReadAdapter>>* held) const;

  const ByteSource source;
  const std::vector<ByteSource> shards;  // Layout::sources[1] and on
  const Layout layout;
  const std::vector<Global> unknown;
  const std::optional<DcpPath> checkpoint;
  std::vector<TensorInfo> infos;  // parallel to layout.tensors

 private:
  std::vector<Named> by_name_;  // sorted
};

// VerifyFile() of an adapter, the payload read by `reads`.
Result<VerifyReport> VerifyAdapter(std::shared_ptr<const ReadAdapter> adapter,
                                   ReadExecutor& reads);

// The same of an index or a folder, whose files `open` opens.
Result<VerifyReport> VerifyShards(const std::string& path,
                                  const OpenAdapter& open, ReadExecutor& reads);

}  // namespace caisson
