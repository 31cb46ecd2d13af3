// SPDX-License-Identifier: Apache-2.0
#include "core/device/staging_pool.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"

namespace caisson {

struct StagingPool::Shared {
  struct Slot {
    std::byte* data;
    bool touched;
  };

  Shared(Buffer buffer, size_t bytes, size_t count)
      : memory(std::move(buffer)), block_bytes(bytes), blocks(count) {
    // All of them fit from the start, so that a return never allocates.
    free.reserve(count);
    for (size_t i = count; i-- > 0;) {
      free.push_back({memory.data() + i * bytes, false});
    }
  }

  void Put(Slot slot) {
    {
      const std::lock_guard hold(lock);
      free.push_back(slot);
    }
    returned.notify_one();
  }

  // Removes the top of the free list; outside the lock, because the first
  // touch of a block takes as long as writing it.
  static Result<Block> Take(const std::shared_ptr<Shared>& shared,
                            std::unique_lock<std::mutex> hold);

  const Buffer memory;
  const size_t block_bytes;
  const size_t blocks;
  std::mutex lock;
  std::condition_variable returned;
  std::vector<Slot> free;  // guarded by lock; used as a stack
  bool shut_down = false;  // guarded by lock
};

namespace {

Status ShutDown() { return Status::Cancelled("staging pool: shut down"); }

}  // namespace

// REQUIRES: `hold` holds the lock and the free list is not empty.
Result<StagingPool::Block> StagingPool::Shared::Take(
    const std::shared_ptr<Shared>& shared, std::unique_lock<std::mutex> hold) {
  const Slot slot = shared->free.back();
  shared->free.pop_back();
  hold.unlock();
  const std::span<std::byte> bytes(slot.data, shared->block_bytes);
  if (!slot.touched) {
    if (Status status = TouchPages(bytes); !status.ok()) {
      shared->Put(slot);
      return status.WithContext("staging pool");
    }
  }
  return Block(shared, bytes);
}

Result<StagingPool> StagingPool::Create(size_t block_bytes, size_t blocks) {
  if (block_bytes == 0 || blocks == 0) {
    return Status::InvalidArgument("staging pool: " + std::to_string(blocks) +
                                   " blocks of " + std::to_string(block_bytes) +
                                   " bytes, expected at least 1 of each");
  }
  const size_t page = PageBytes();
  const size_t pages = block_bytes / page + (block_bytes % page != 0);
  const auto rounded = CheckedMul(pages, page);
  const auto total = rounded ? CheckedMul(*rounded, blocks) : std::nullopt;
  if (!total) {
    return Status::OutOfMemory("staging pool: needed " +
                               std::to_string(blocks) + " blocks of " +
                               std::to_string(block_bytes) + " bytes");
  }
  auto memory = Buffer::Allocate(*total);
  if (!memory.has_value()) return memory.error().WithContext("staging pool");
  return StagingPool(
      std::make_shared<Shared>(std::move(*memory), *rounded, blocks));
}

StagingPool::~StagingPool() {
  if (shared_ != nullptr) Shutdown();
}

Result<StagingPool::Block> StagingPool::Lease() {
  std::unique_lock hold(shared_->lock);
  shared_->returned.wait(
      hold, [this] { return shared_->shut_down || !shared_->free.empty(); });
  if (shared_->shut_down) return ShutDown();
  return Shared::Take(shared_, std::move(hold));
}

Result<std::optional<StagingPool::Block>> StagingPool::TryLease() {
  return TryLeaseFor(std::chrono::milliseconds(0));
}

Result<std::optional<StagingPool::Block>> StagingPool::TryLeaseFor(
    std::chrono::milliseconds wait) {
  std::unique_lock hold(shared_->lock);
  if (wait.count() > 0) {
    shared_->returned.wait_for(hold, wait, [this] {
      return shared_->shut_down || !shared_->free.empty();
    });
  }
  if (shared_->shut_down) return ShutDown();
  if (shared_->free.empty()) return std::optional<Block>();
  CAISSON_ASSIGN_OR_RETURN(Block block, Shared::Take(shared_, std::move(hold)));
  return std::optional<Block>(std::move(block));
}

void StagingPool::Shutdown() {
  {
    const std::lock_guard hold(shared_->lock);
    shared_->shut_down = true;
  }
  shared_->returned.notify_all();
}

std::span<std::byte> StagingPool::memory() const {
  return shared_->memory.bytes();
}

size_t StagingPool::block_bytes() const { return shared_->block_bytes; }

size_t StagingPool::blocks() const { return shared_->blocks; }

size_t StagingPool::available() const {
  const std::lock_guard hold(shared_->lock);
  return shared_->free.size();
}

StagingPool::Block& StagingPool::Block::operator=(Block&& other) noexcept {
  if (this != &other) {
    Return();
    shared_ = std::move(other.shared_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void StagingPool::Block::Return() {
  if (shared_ == nullptr) return;
  const std::shared_ptr<Shared> shared = std::move(shared_);
  shared->Put({bytes_.data(), true});
  bytes_ = {};
}

}  // namespace caisson
