// SPDX-License-Identifier: Apache-2.0
#include "core/engine/worker_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace caisson {
namespace {

// Of the calling thread. A hint: where it is refused, all threads are equal.
void GiveWay() {
  const sched_param none{};
  pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
}

}  // namespace

Result<std::unique_ptr<WorkerPool>> WorkerPool::Create(size_t threads,
                                                       Priority priority) {
  std::unique_ptr<WorkerPool> pool(new WorkerPool);
  pool->threads_.reserve(threads);
  const auto work = [self = pool.get(), priority] {
    if (priority == Priority::kBatch) GiveWay();
    self->Work();
  };
  try {
    while (pool->threads_.size() < threads) pool->threads_.emplace_back(work);
  } catch (const std::system_error& error) {
    // Fewer will do.
    if (pool->threads_.empty()) {
      return Status::Unavailable(std::string("the system gives no thread: ") +
                                 error.what());
    }
  }
  return pool;
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard hold(lock_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Run(std::function<void()> task) {
  {
    const std::lock_guard hold(lock_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void WorkerPool::Work() {
  std::unique_lock hold(lock_);
  while (true) {
    wake_.wait(hold, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    hold.unlock();
    task();
    hold.lock();
  }
}

size_t Cores() {
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof(mine), &mine) == 0) {
    return static_cast<size_t>(CPU_COUNT(&mine));
  }
  return std::max(std::thread::hardware_concurrency(), 1u);
}

}  // namespace caisson
