// SPDX-License-Identifier: Apache-2.0
//
// Threads that run small tasks in the order in which they come: those that copy
// and check bytes.
//
// Thread safety: Run() may be called on many threads at once, also from a task.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "caisson/status.h"

namespace caisson {

// What the threads give way to.
enum class Priority : uint8_t {
  kNormal,
  kBatch,  // everything else: a save beside a training
};

class WorkerPool {
 public:
  // Errors: kUnavailable if the system gives not one thread.
  static Result<std::unique_ptr<WorkerPool>> Create(size_t threads,
                                                    Priority priority);

  // Runs what is left first.
  ~WorkerPool();

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Run(std::function<void()> task);

  size_t threads() const { return threads_.size(); }

 private:
  WorkerPool() = default;
  void Work();

  std::vector<std::thread> threads_;
  std::mutex lock_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by lock_
  bool ending_ = false;                      // guarded by lock_
};

// One for each core that this process may use.
size_t Cores();

}  // namespace caisson
