// SPDX-License-Identifier: Apache-2.0
//
// A ring of io_uring: whoever submits puts a transfer into it, and one thread
// takes out what the kernel has done. Each call of the kernel may do a part;
// then the rest goes in again, in the same place of the line.
#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/io/io_queue.h"
#include "core/io/transfer.h"

namespace caisson {
namespace {

// MAX_RW_COUNT of Linux: no call transfers more.
constexpr size_t kMaxCallBytes = (size_t{1} << 31) - 4096;

// io_uring_register(2): no buffer is larger.
constexpr size_t kMaxBufferBytes = size_t{1} << 30;

// The kernel's own bound of entries.
constexpr size_t kMaxDepth = 32768;

constexpr int kNotRegistered = -1;

struct Transfer {
  std::span<std::byte> rest() const { return memory.subspan(bytes); }

  Result<size_t> Failed(int error) const {
    return FromErrno(error, file->path(),
                     TransferText(is_write ? "write" : "read", offset,
                                  memory.size(), bytes));
  }

  const File* file;
  bool is_write;
  uint64_t offset;
  std::span<std::byte> memory;  // read from only, if is_write
  IoQueue::Done done;
  // Whether the kernel should give it to a thread of its own at once. It would
  // otherwise copy from and to the page cache on the thread that submits.
  bool blocks;
  Status problem = {};  // known beforehand: nothing to transfer
  size_t bytes = 0;     // done
};

bool IsBuffered(const File& file) {
  const int flags = fcntl(file.fd(), F_GETFL);
  return flags < 0 || (flags & O_DIRECT) == 0;
}

class UringQueue final : public IoQueue {
 public:
  UringQueue() = default;

  ~UringQueue() override {
    {
      const std::lock_guard hold(lock_);
      closing_ = true;
    }
    wake_.notify_one();
    if (reaper_.joinable()) reaper_.join();
    if (has_ring_) io_uring_queue_exit(&ring_);
  }

  Status Start(size_t depth);

  void Read(const File& file, uint64_t offset, std::span<std::byte> dst,
            Done done) override {
    const uint64_t limit = offset < kMaxExtent ? kMaxExtent - offset : 0;
    dst = dst.first(std::min<uint64_t>(dst.size(), limit));
    Submit({&file, false, offset, dst, std::move(done), IsBuffered(file)});
  }

  void Write(File& file, uint64_t offset, std::span<const std::byte> src,
             Done done) override {
    const std::span memory(const_cast<std::byte*>(src.data()), src.size());
    Transfer transfer{&file,           true, offset, memory, std::move(done),
                      IsBuffered(file)};
    if (!FitsWithin(offset, src.size(), kMaxExtent)) {
      transfer.problem =
          BeyondAnyFile(file.path(), "write", offset, src.size());
      transfer.memory = {};
    }
    Submit(std::move(transfer));
  }

  bool Register(std::span<std::byte> memory) override;
  size_t depth() const override { return depth_; }
  std::string_view name() const override { return "io_uring"; }

 private:
  using Owner = std::unique_ptr<Transfer>;

  void Submit(Transfer transfer);
  void Enter(Owner transfer);
  void Prepare(io_uring_sqe* sqe, const Transfer& transfer) const;
  int BufferOf(std::span<const std::byte> memory) const;
  void Reap();
  Owner AwaitOne(int* answer);

  io_uring ring_{};  // entries go in under lock_, and out on reaper_
  bool has_ring_ = false;
  size_t depth_ = 0;
  std::vector<iovec> buffers_;  // registered; constant once in use
  std::thread reaper_;

  std::mutex lock_;
  std::condition_variable wake_;
  // All guarded by lock_.
  std::deque<Owner> waiting_;  // for a place among depth_
  std::deque<Owner> refused_;  // what the kernel did not take
  size_t in_flight_ = 0;
  int broken_ = 0;  // errno with which the kernel ceased to take any
  bool closing_ = false;
};

// What the kernel must know, by name, or OK.
Status CheckOperations(io_uring* ring) {
  constexpr std::pair<int, const char*> kNeeded[] = {
      {IORING_OP_NOP, "NOP"},
      {IORING_OP_READ, "READ"},
      {IORING_OP_WRITE, "WRITE"},
      {IORING_OP_READ_FIXED, "READ_FIXED"},
      {IORING_OP_WRITE_FIXED, "WRITE_FIXED"}};
  io_uring_probe* const probe = io_uring_get_probe_ring(ring);
  if (probe == nullptr) {
    return Status::Unavailable(
        "io_uring: the kernel does not say which operations it knows");
  }
  Status status;
  for (const auto& [operation, name] : kNeeded) {
    if (status.ok() && !io_uring_opcode_supported(probe, operation)) {
      status = Status::Unavailable(
          std::string("io_uring: the kernel does not know IORING_OP_") + name);
    }
  }
  io_uring_free_probe(probe);
  return status;
}

Status UringQueue::Start(size_t depth) {
  depth_ = std::min(depth, kMaxDepth);
  const int error =
      io_uring_queue_init(static_cast<unsigned>(depth_), &ring_, 0);
  if (error < 0) {
    return Status::Unavailable(
        "io_uring: the kernel refuses a ring of " + std::to_string(depth_) +
        " entries: " + std::generic_category().message(-error));
  }
  has_ring_ = true;
  CAISSON_RETURN_IF_ERROR(CheckOperations(&ring_));
  try {
    reaper_ = std::thread([this] { Reap(); });
  } catch (const std::system_error& failure) {
    return Status::Unavailable("io_uring: the system gives no thread: " +
                               std::string(failure.what()));
  }
  return Status::Ok();
}

bool UringQueue::Register(std::span<std::byte> memory) {
  if (!buffers_.empty()) return false;
  std::vector<iovec> buffers;
  while (!memory.empty()) {
    const auto buffer = memory.first(std::min(memory.size(), kMaxBufferBytes));
    buffers.push_back({buffer.data(), buffer.size()});
    memory = memory.subspan(buffer.size());
  }
  if (io_uring_register_buffers(&ring_, buffers.data(),
                                static_cast<unsigned>(buffers.size())) < 0) {
    return false;
  }
  buffers_ = std::move(buffers);
  return true;
}

// The registered buffer that holds all of `memory`.
int UringQueue::BufferOf(std::span<const std::byte> memory) const {
  const auto begin = reinterpret_cast<uintptr_t>(memory.data());
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const auto base = reinterpret_cast<uintptr_t>(buffers_[i].iov_base);
    if (begin >= base &&
        FitsWithin(begin - base, memory.size(), buffers_[i].iov_len)) {
      return static_cast<int>(i);
    }
  }
  return kNotRegistered;
}

void UringQueue::Prepare(io_uring_sqe* sqe, const Transfer& transfer) const {
  const std::span<std::byte> rest = transfer.rest();
  const int fd = transfer.file->fd();
  const auto bytes =
      static_cast<unsigned>(std::min(rest.size(), kMaxCallBytes));
  const uint64_t offset = transfer.offset + transfer.bytes;
  const int buffer = BufferOf(rest);
  if (rest.empty()) {
    io_uring_prep_nop(sqe);  // only its turn is wanted
  } else if (buffer == kNotRegistered && transfer.is_write) {
    io_uring_prep_write(sqe, fd, rest.data(), bytes, offset);
  } else if (buffer == kNotRegistered) {
    io_uring_prep_read(sqe, fd, rest.data(), bytes, offset);
  } else if (transfer.is_write) {
    io_uring_prep_write_fixed(sqe, fd, rest.data(), bytes, offset, buffer);
  } else {
    io_uring_prep_read_fixed(sqe, fd, rest.data(), bytes, offset, buffer);
  }
  if (!rest.empty() && transfer.blocks) sqe->flags |= IOSQE_ASYNC;
}

void UringQueue::Submit(Transfer submitted) {
  auto transfer = std::make_unique<Transfer>(std::move(submitted));
  const std::lock_guard hold(lock_);
  if (in_flight_ < depth_) {
    Enter(std::move(transfer));
    wake_.notify_one();
  } else {
    waiting_.push_back(std::move(transfer));
  }
}

// Gives a transfer, or its rest, to the kernel. REQUIRES: in_flight_ < depth_;
// lock_ is held.
void UringQueue::Enter(Owner transfer) {
  int taken = -broken_;
  if (taken == 0) {
    // There is an entry: each goes to the kernel at once.
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    Prepare(sqe, *transfer);
    io_uring_sqe_set_data(sqe, transfer.get());
    taken = io_uring_submit(&ring_);
    while (taken == -EINTR || taken == -EAGAIN || taken == -EBUSY) {
      std::this_thread::yield();  // out of memory for a moment
      taken = io_uring_submit(&ring_);
    }
  }
  if (taken >= 0) {
    transfer.release();  // AwaitOne() takes it back
    ++in_flight_;
    return;
  }
  // As under a filter of system calls that was installed after the ring. The
  // entry is still in the ring, so nothing may be submitted ever after.
  broken_ = -taken;
  refused_.push_back(std::move(transfer));
}

// The next transfer that the kernel did something about, and its answer.
UringQueue::Owner UringQueue::AwaitOne(int* answer) {
  io_uring_cqe* entry = nullptr;
  while (io_uring_wait_cqe(&ring_, &entry) < 0) {
    // Interrupted, or forbidden to wait; what is done can still be seen.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Owner transfer(static_cast<Transfer*>(io_uring_cqe_get_data(entry)));
  *answer = entry->res;
  io_uring_cqe_seen(&ring_, entry);
  return transfer;
}

// Takes in what the kernel answered. None if it shall go on with the rest.
std::optional<Result<size_t>> Advance(Transfer* transfer, int answer) {
  if (!transfer->problem.ok()) return transfer->problem;
  // A thread that ends takes what it submitted with it: ECANCELED.
  if (answer == -EINTR || answer == -ECANCELED) return std::nullopt;
  if (answer == -EAGAIN && !transfer->blocks) {
    transfer->blocks = true;  // it would have to wait, so let it
    return std::nullopt;
  }
  if (answer < 0) return transfer->Failed(-answer);
  transfer->bytes += static_cast<size_t>(answer);
  if (transfer->rest().empty()) return transfer->bytes;
  if (answer > 0) return std::nullopt;
  // The end of the file; or a write of nothing, which would repeat forever.
  if (transfer->is_write) return transfer->Failed(EIO);
  return transfer->bytes;
}

void UringQueue::Reap() {
  std::unique_lock hold(lock_);
  for (;;) {
    wake_.wait(hold,
               [&] { return in_flight_ > 0 || !refused_.empty() || closing_; });
    Owner transfer;
    std::optional<Result<size_t>> result;
    if (!refused_.empty()) {
      transfer = std::move(refused_.front());
      refused_.pop_front();
      result = transfer->Failed(broken_);
    } else if (in_flight_ > 0) {
      int answer = 0;
      hold.unlock();
      transfer = AwaitOne(&answer);
      // Whoever submitted held the lock, so what it did comes before.
      hold.lock();
      --in_flight_;
      result = Advance(transfer.get(), answer);
      if (!result) {
        Enter(std::move(transfer));
        continue;
      }
    } else {
      return;  // closing, and all is done
    }
    if (!waiting_.empty() && in_flight_ < depth_) {
      Owner next = std::move(waiting_.front());
      waiting_.pop_front();
      Enter(std::move(next));
    }
    hold.unlock();
    transfer->done(std::move(*result));
    transfer.reset();
    hold.lock();
  }
}

}  // namespace

Result<std::unique_ptr<IoQueue>> MakeUringQueue(size_t depth) {
  assert(depth > 0);
  auto queue = std::make_unique<UringQueue>();
  CAISSON_RETURN_IF_ERROR(queue->Start(depth));
  return std::unique_ptr<IoQueue>(std::move(queue));
}

}  // namespace caisson
