// SPDX-License-Identifier: Apache-2.0
//
// Engine::Load, LoadInto and Verify: those of Reader, with many reads in
// flight.
#include <functional>
#include <memory>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/engine/read/parallel_reads.h"
#include "core/engine/read/reader_impl.h"
#include "core/engine/stopwatch.h"
#include "core/io/direct_file.h"

namespace caisson {
namespace {

// From this share in the page cache on, reading through it is faster.
constexpr double kWarm = 0.5;

std::function<void(uint64_t, uint64_t)> Timed(
    const ProgressCallback& progress) {
  if (!progress) return {};
  return [progress, since = Stopwatch()](uint64_t done, uint64_t total) {
    progress({done, total, since.seconds()});
  };
}

// A file that is being loaded, and how.
class LoadedFile {
 public:
  static Result<LoadedFile> Open(const std::string& path, bool may_be_direct) {
    CAISSON_ASSIGN_OR_RETURN(auto file, DirectFile::Open(path));
    return LoadedFile(std::move(file), may_be_direct);
  }

  LoadedFile(LoadedFile&&) = default;

  // What a load of a cold file brought into the page cache, the index or all
  // of it, leaves it again.
  ~LoadedFile() {
    if (file_ != nullptr && was_cold_) file_->DropCache();
  }

  std::shared_ptr<const ReadAdapter> adapter() const { return file_; }

  // Null: read it through the page cache.
  const File* direct() const { return direct_; }

 private:
  LoadedFile(std::shared_ptr<DirectFile> file, bool may_be_direct)
      : file_(std::move(file)) {
    const double cached = file_->CachedShare();
    was_cold_ = cached == 0;
    if (may_be_direct && cached < kWarm && Works(file_->direct())) {
      direct_ = file_->direct();
    }
  }

  // Some file systems take the flag and refuse the transfer.
  static bool Works(const File* direct) {
    alignas(kDirectAlignment) std::byte block[kDirectAlignment];
    return direct != nullptr && direct->ReadUpTo(0, block).has_value();
  }

  std::shared_ptr<DirectFile> file_;
  const File* direct_ = nullptr;
  bool was_cold_ = false;
};

}  // namespace

Result<State> Engine::Load(const std::string& path, const LoadOptions& options,
                           const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const LoadedFile file,
                           LoadedFile::Open(path, impl_->options().direct));
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Reader::Open(file.adapter()));
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, file.direct(), Timed(progress));
  return Reader::Impl::Of(reader).Load(options, reads);
}

Status Engine::LoadInto(const std::string& path, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const LoadedFile file,
                           LoadedFile::Open(path, impl_->options().direct));
  CAISSON_ASSIGN_OR_RETURN(const Reader reader, Reader::Open(file.adapter()));
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, file.direct(), Timed(progress));
  return Reader::Impl::Of(reader).LoadInto(state, options, reads);
}

Result<VerifyReport> Engine::Verify(const std::string& path,
                                    const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const LoadedFile file,
                           LoadedFile::Open(path, impl_->options().direct));
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, file.direct(), Timed(progress));
  return VerifyAdapter(file.adapter(), reads);
}

Result<State> Engine::Load(const Reader& reader, const LoadOptions& options,
                           const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, nullptr, Timed(progress));
  return Reader::Impl::Of(reader).Load(options, reads);
}

Status Engine::LoadInto(const Reader& reader, State& state,
                        const LoadIntoOptions& options,
                        const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, nullptr, Timed(progress));
  return Reader::Impl::Of(reader).LoadInto(state, options, reads);
}

Result<VerifyReport> Engine::Verify(const Reader& reader,
                                    const ProgressCallback& progress) {
  CAISSON_ASSIGN_OR_RETURN(const Machinery machinery,
                           impl_->MachineryFor(Priority::kNormal));
  ParallelReads reads(machinery, nullptr, Timed(progress));
  return Reader::Impl::Of(reader).Verify(reads);
}

}  // namespace caisson
