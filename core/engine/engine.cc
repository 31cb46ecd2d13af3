// SPDX-License-Identifier: Apache-2.0
#include "caisson/engine.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/engine_impl.h"
#include "core/io/io_path.h"

namespace caisson {
namespace {

constexpr size_t kDefaultDepth = 8;

// The kernel has no more entries in a ring, and hardly more threads.
constexpr size_t kMaxAtOnce = 32768;

Status Check(const EngineOptions& options) {
  if (options.window_bytes == 0 ||
      options.window_bytes % kDirectAlignment != 0) {
    return Status::InvalidArgument(
        "a window of " + std::to_string(options.window_bytes) +
        " bytes, expected a multiple of " + std::to_string(kDirectAlignment));
  }
  if (options.pool_bytes < options.window_bytes) {
    return Status::InvalidArgument("a pool of " +
                                   std::to_string(options.pool_bytes) +
                                   " bytes, expected at least a window of " +
                                   std::to_string(options.window_bytes));
  }
  for (const size_t at_once : {options.threads, options.depth}) {
    if (at_once > kMaxAtOnce) {
      return Status::InvalidArgument(
          std::to_string(at_once) +
          " threads or transfers at once, expected at most " +
          std::to_string(kMaxAtOnce));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<IoQueue>> MakeQueue(const EngineOptions& options) {
  const size_t depth = options.depth == 0 ? kDefaultDepth : options.depth;
  return options.io == IoKind::kUring ? MakeUringQueue(depth)
                                      : MakeThreadQueue(depth);
}

size_t ThreadsOf(const EngineOptions& options, Priority priority) {
  const size_t all = options.threads == 0 ? Cores() : options.threads;
  return priority == Priority::kBatch ? std::max<size_t>(all / 4, 1) : all;
}

Result<Machinery> Engine::Impl::MachineryFor(Priority priority) {
  const std::lock_guard hold(machinery_lock_);
  if (!pool_) {
    CAISSON_ASSIGN_OR_RETURN(
        StagingPool pool,
        StagingPool::Create(options_.window_bytes,
                            options_.pool_bytes / options_.window_bytes));
    pool_.emplace(std::move(pool));
    pinned_.emplace(pool_->memory(), pool_->block_bytes());
  }
  if (queue_ == nullptr) {
    CAISSON_ASSIGN_OR_RETURN(queue_, MakeQueue(options_));
    queue_->Register(pool_->memory());
  }
  std::unique_ptr<WorkerPool>& workers =
      priority == Priority::kBatch ? batch_workers_ : workers_;
  if (workers == nullptr) {
    CAISSON_ASSIGN_OR_RETURN(
        workers, WorkerPool::Create(ThreadsOf(options_, priority), priority));
  }
  return Machinery{*pool_, *workers, *queue_, devices_, &*pinned_};
}

Result<bool> Engine::Impl::MayBeDirect(const File& directory, File& file) {
  if (!options_.direct) return false;
  struct stat found = {};
  const int error =
      Uninterrupted([&] { return files_.Stat(directory.fd(), &found); });
  if (error < 0) return ProbeDirect(file, files_);
  const std::lock_guard hold(direct_lock_);
  const std::pair key(found.st_dev, found.st_ino);
  const auto known = direct_.find(key);
  if (known != direct_.end()) return known->second;
  CAISSON_ASSIGN_OR_RETURN(const bool direct, ProbeDirect(file, files_));
  direct_[key] = direct;
  return direct;
}

Result<Engine> Engine::Impl::Make(const EngineOptions& options,
                                  FileSystem& files, Devices& devices) {
  CAISSON_RETURN_IF_ERROR(Check(options));
  return Engine(std::make_unique<Impl>(options, files, devices));
}

Result<Engine> Engine::Create(const EngineOptions& options) {
  return Impl::Make(options, FileSystem::Posix());
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<SaveReport> Engine::Save(const State& state, const std::string& path,
                                const SaveOptions& options) {
  return impl_->Save(state, path, options);
}

Result<Ticket> Engine::SaveAsync(const State& state, const std::string& path,
                                 const AsyncOptions& options) {
  return impl_->SaveAsync(state, path, options);
}

}  // namespace caisson
