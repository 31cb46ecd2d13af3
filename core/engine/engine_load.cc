// SPDX-License-Identifier: Apache-2.0
//
// Engine::Load and its kin: those of Reader, with many reads in flight.
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/engine_impl.h"
#include "core/engine/read/parallel_reads.h"
#include "core/engine/read/read_route.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/stopwatch.h"
#include "core/io/direct_file.h"

namespace caisson {
namespace {

std::function<bool(uint64_t, uint64_t)> Timed(
    const ProgressCallback& progress) {
  if (!progress) return {};
  return [progress, since = Stopwatch()](uint64_t done, uint64_t total) {
    bool stop = false;
    progress({done, total, since.seconds(), &stop});
    return !stop;
  };
}

Result<std::shared_ptr<const ReadAdapter>> OpenDirect(const std::string& path) {
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> file,
                           DirectFile::Open(path));
  return file;
}

}  // namespace

template <class Function>
auto Engine::Impl::WithReads(const ByteSource& source,
                             const ProgressCallback& progress,
                             LoadReport* report,
                             std::span<const DeviceStream> streams,
                             const Function& function)
    -> decltype(function(std::declval<ReadExecutor&>())) {
  const Stopwatch watch;
  const Result<Machinery> machinery = MachineryFor(Priority::kNormal);
  if (!machinery) return machinery.error();
  ReadRoutes routes(options_.direct);
  const ReadRoute& first = routes.Of(source);
  ParallelReads reads(*machinery, routes, streams, Timed(progress));
  auto result = function(reads);
  if (report != nullptr) {
    *report = reads.report();
    report->threads = machinery->workers.threads();
    const ReadRoute& route = reads.main_route() ? *reads.main_route() : first;
    report->io = std::string(route.name());
    if (route.direct() != nullptr) {
      report->io = std::string(machinery->queue.name()) + ", " + report->io;
    }
    report->seconds = watch.seconds();
  }
  return result;
}

Result<Reader> Engine::Open(const std::string& path,
                            const ReaderOptions& options) {
  return Reader::Impl::Open(path, options, OpenDirect);
}

Result<State> Engine::Load(const Reader& reader, const LoadOptions& options,
                           const ProgressCallback& progress,
                           LoadReport* report) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(
      file.source, progress, report, options.streams,
      [&](ReadExecutor& reads) { return file.Load(options, reads); });
}

Status Engine::LoadInto(const Reader& reader, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress, LoadReport* report) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(file.source, progress, report, options.streams,
                          [&](ReadExecutor& reads) {
                            return file.LoadInto(state, options, reads);
                          });
}

Result<ReadReport> Engine::Read(const Reader& reader,
                                std::span<const ReadRequest> requests,
                                const ProgressCallback& progress,
                                LoadReport* report) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  return impl_->WithReads(
      file.source, progress, report, {},
      [&](ReadExecutor& reads) { return file.Read(requests, reads); });
}

Result<VerifyReport> Engine::Verify(const Reader& reader,
                                    const ProgressCallback& progress,
                                    LoadReport* report) {
  const Reader::Impl& file = Reader::Impl::Of(reader);
  std::vector<std::shared_ptr<const ReadAdapter>> held;
  return impl_->WithReads(
      file.source, progress, report, {},
      [&](ReadExecutor& reads) { return file.Verify(reads, &held); });
}

Result<State> Engine::Load(const std::string& path, const LoadOptions& options,
                           const ProgressCallback& progress,
                           LoadReport* report) {
  const Stopwatch watch;
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Open(path));
  Result<State> state = Load(reader, options, progress, report);
  if (report != nullptr) report->seconds = watch.seconds();
  return state;
}

Status Engine::LoadInto(const std::string& path, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress, LoadReport* report) {
  const Stopwatch watch;
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Open(path));
  const Status status = LoadInto(reader, state, options, progress, report);
  if (report != nullptr) report->seconds = watch.seconds();
  return status;
}

Result<VerifyReport> Engine::Verify(const std::string& path,
                                    const ProgressCallback& progress,
                                    LoadReport* report) {
  if (IsDcp(path)) {
    CAISSON_ASSIGN_OR_RETURN(const DcpPath checkpoint, FindDcp(path));
    CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> metadata,
                             OpenDirect(checkpoint.metadata));
    const ByteSource source(std::move(metadata));
    std::vector<std::shared_ptr<const ReadAdapter>> held;
    return impl_->WithReads(
        source, progress, report, {}, [&](ReadExecutor& reads) {
          return VerifyDcp(checkpoint, OpenDirect, reads, &held);
        });
  }
  if (IsIndexOrFolder(path)) {
    // The shards are opened while they are verified.
    const auto reader = Open(path);
    if (reader) return Verify(*reader, progress, report);
    OneByOne reads;
    return VerifyShards(path, OpenDirect, reads);
  }
  CAISSON_ASSIGN_OR_RETURN(std::shared_ptr<const ReadAdapter> file,
                           DirectFile::Open(path));
  const ByteSource source(file);
  return impl_->WithReads(
      source, progress, report, {},
      [&](ReadExecutor& reads) { return VerifyAdapter(file, reads); });
}

}  // namespace caisson
