// SPDX-License-Identifier: Apache-2.0
//
// Engine::Load and its kin: those of Reader, with many reads in flight.
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/engine/read/parallel_reads.h"
#include "core/engine/read/read_route.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/stopwatch.h"
#include "core/io/direct_file.h"

namespace caisson {
namespace {

std::function<void(uint64_t, uint64_t)> Timed(
    const ProgressCallback& progress) {
  if (!progress) return {};
  return [progress, since = Stopwatch()](uint64_t done, uint64_t total) {
    progress({done, total, since.seconds()});
  };
}

Result<std::shared_ptr<const ReadAdapter>> OpenDirect(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> file,
                           DirectFile::Open(path));
  return file;
}

// Parallel reads, each source by the way that suits it.
class RoutedReads final : public ReadExecutor {
 public:
  RoutedReads(const Machinery& machinery, bool may_be_direct,
              std::function<void(uint64_t, uint64_t)> progress)
      : machinery_(machinery),
        may_be_direct_(may_be_direct),
        progress_(std::move(progress)) {}

  // Chooses the way. The source's adapter must outlive this.
  const ReadRoute& Prepare(const ByteSource& source) {
    std::unique_ptr<ReadRoute>& route = routes_[&source.adapter()];
    if (route == nullptr) {
      route = std::make_unique<ReadRoute>(source, may_be_direct_);
    }
    return *route;
  }

  Status Run(const ByteSource& source, std::span<ReadTask> tasks,
             OnError on_error) override {
    ParallelReads reads(machinery_, Prepare(source).direct(), progress_);
    return reads.Run(source, tasks, on_error);
  }

 private:
  const Machinery machinery_;
  const bool may_be_direct_;
  const std::function<void(uint64_t, uint64_t)> progress_;
  std::map<const ReadAdapter*, std::unique_ptr<ReadRoute>> routes_;
};

}  // namespace

template <class Function>
auto Engine::Impl::WithReads(const ByteSource& source,
                             const ProgressCallback& progress,
                             const Function& function)
    -> decltype(function(std::declval<ReadExecutor&>())) {
  const Result<Machinery> machinery = MachineryFor(Priority::kNormal);
  if (!machinery) return machinery.error();
  RoutedReads reads(*machinery, options_.direct, Timed(progress));
  reads.Prepare(source);
  return function(reads);
}

Result<Reader> Engine::Open(const std::string& path,
                            const ReaderOptions& options) {
  return Reader::Impl::Open(path, options, OpenDirect);
}

Result<State> Engine::Load(const Reader& reader, const LoadOptions& options,
                           const ProgressCallback& progress) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(file.source, progress, [&](ReadExecutor& reads) {
    return file.Load(options, reads);
  });
}

Status Engine::LoadInto(const Reader& reader, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(file.source, progress, [&](ReadExecutor& reads) {
    return file.LoadInto(state, options, reads);
  });
}

Result<ReadReport> Engine::Read(const Reader& reader,
                                std::span<const ReadRequest> requests,
                                const ProgressCallback& progress) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(file.source, progress, [&](ReadExecutor& reads) {
    return file.Read(requests, reads);
  });
}

Result<VerifyReport> Engine::Verify(const Reader& reader,
                                    const ProgressCallback& progress) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(file.source, progress, [&](ReadExecutor& reads) {
    return file.Verify(reads);
  });
}

Result<State> Engine::Load(const std::string& path, const LoadOptions& options,
                           const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Open(path));
  return Load(reader, options, progress);
}

Status Engine::LoadInto(const std::string& path, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Open(path));
  return LoadInto(reader, state, options, progress);
}

Result<VerifyReport> Engine::Verify(const std::string& path,
                                    const ProgressCallback& progress) {
  if (IsIndexOrFolder(path)) {
    // The shards are opened while they are verified.
    const auto reader = Open(path);
    if (reader) return Verify(*reader, progress);
    OneByOne reads;
    return VerifyShards(path, OpenDirect, reads);
  }
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> file,
                           DirectFile::Open(path));
  const ByteSource source(file);
  return impl_->WithReads(source, progress, [&](ReadExecutor& reads) {
    return VerifyAdapter(file, reads);
  });
}

}  // namespace caisson
