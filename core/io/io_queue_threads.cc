// SPDX-License-Identifier: Apache-2.0
//
// Threads that take transfers from one line and do each with a call of File.
#include <cassert>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/io/io_queue.h"

namespace caisson {
namespace {

class ThreadQueue final : public IoQueue {
 public:
  ThreadQueue() = default;

  ~ThreadQueue() override {
    {
      const std::lock_guard hold(lock_);
      closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Adds threads until there are `depth`, or until the system gives no more.
  Status Start(size_t depth) {
    threads_.reserve(depth);
    try {
      while (threads_.size() < depth) threads_.emplace_back([this] { Run(); });
    } catch (const std::system_error& error) {
      if (threads_.empty()) {
        return Status::Unavailable("I/O queue: the system gives no thread: " +
                                   std::string(error.what()));
      }
    }
    return Status::Ok();
  }

  void Read(const File& file, uint64_t offset, std::span<std::byte> dst,
            Done done) override {
    Append([&file, offset, dst, done = std::move(done)] {
      done(file.ReadUpTo(offset, dst));
    });
  }

  void Write(File& file, uint64_t offset, std::span<const std::byte> src,
             Done done) override {
    Append([&file, offset, src, done = std::move(done)] {
      const Status status = file.WriteAt(offset, src);
      done(status.ok() ? Result<size_t>(src.size()) : status);
    });
  }

  bool Register(std::span<std::byte>) override { return false; }
  size_t depth() const override { return threads_.size(); }
  std::string_view name() const override { return "threads"; }

 private:
  using Transfer = std::function<void()>;

  void Append(Transfer transfer) {
    {
      const std::lock_guard hold(lock_);
      waiting_.push_back(std::move(transfer));
    }
    wake_.notify_one();
  }

  void Run() {
    while (const Transfer transfer = Next()) transfer();
  }

  // Empty when there is nothing left and there will be nothing more: what the
  // transfers of other threads submit from now on is theirs to do.
  Transfer Next() {
    std::unique_lock hold(lock_);
    wake_.wait(hold, [&] { return closing_ || !waiting_.empty(); });
    if (waiting_.empty()) return {};
    Transfer transfer = std::move(waiting_.front());
    waiting_.pop_front();
    return transfer;
  }

  std::mutex lock_;
  std::condition_variable wake_;
  std::deque<Transfer> waiting_;  // guarded by lock_
  bool closing_ = false;          // guarded by lock_
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<IoQueue>> MakeThreadQueue(size_t depth) {
  assert(depth > 0);
  auto queue = std::make_unique<ThreadQueue>();
  CAISSON_RETURN_IF_ERROR(queue->Start(depth));
  return std::unique_ptr<IoQueue>(std::move(queue));
}

}  // namespace caisson
