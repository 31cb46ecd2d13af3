// SPDX-License-Identifier: Apache-2.0
//
// A fixed set of equal blocks of host memory that are leased and come back.
// The number of blocks bounds the bytes in flight: who wants one more waits
// until another is returned.
//
// A block is touched when it is first leased and stays resident, and the block
// returned last is leased first, so that small jobs stay on few warm pages.
//
// Thread safety: all functions may be called from many threads at once; a
// Block is a value and belongs to one thread at a time, not always the one
// that leased it.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "caisson/status.h"

namespace caisson {

class StagingPool {
  struct Shared;  // memory and free list; the pool and every lease own it

 public:
  // One leased block; the destructor returns it and wakes one waiter. It may
  // outlive the pool.
  class Block {
   public:
    Block() = default;  // holds nothing
    Block(Block&& other) noexcept
        : shared_(std::move(other.shared_)),
          bytes_(std::exchange(other.bytes_, {})) {}
    Block& operator=(Block&& other) noexcept;
    ~Block() { Return(); }

    // Page-aligned; the contents are what the previous user left.
    std::span<std::byte> bytes() const { return bytes_; }
    std::byte* data() const { return bytes_.data(); }
    size_t size() const { return bytes_.size(); }  // bytes
    explicit operator bool() const { return shared_ != nullptr; }

    // Gives the block back early; afterwards it holds nothing.
    void Return();

   private:
    friend class StagingPool;
    Block(std::shared_ptr<Shared> shared, std::span<std::byte> bytes)
        : shared_(std::move(shared)), bytes_(bytes) {}

    std::shared_ptr<Shared> shared_;
    std::span<std::byte> bytes_;
  };

  // Maps `blocks` blocks of `block_bytes`, rounded up to whole pages.
  //
  // REQUIRES: both are at least 1.
  // Errors: kInvalidArgument; kOutOfMemory.
  static Result<StagingPool> Create(size_t block_bytes, size_t blocks);

  StagingPool(StagingPool&&) noexcept = default;
  StagingPool& operator=(StagingPool&&) = delete;
  // Shuts down. The memory goes when the last lease does. Nobody may be inside
  // a member function: Shutdown() and join the waiting threads first.
  ~StagingPool();

  // Waits until a block is free. Waiters are served in no particular order. A
  // thread that waits while it holds blocks of the same pool can deadlock with
  // others that do the same.
  //
  // Errors: kCancelled once the pool is shut down; kOutOfMemory if the block
  // cannot be backed by memory, in which case it stays in the pool.
  Result<Block> Lease();

  // The same, waiting no longer than `wait`; none if every block is leased
  // then.
  Result<std::optional<Block>> TryLeaseFor(std::chrono::milliseconds wait);

  // The same without waiting; none if every block is leased.
  Result<std::optional<Block>> TryLease();

  // Every Lease() from now on, and every one that waits now, answers
  // kCancelled. Leased blocks stay valid. May be called more than once.
  void Shutdown();

  // All blocks; for who wants the kernel to know them.
  std::span<std::byte> memory() const;

  size_t block_bytes() const;
  size_t blocks() const;
  size_t available() const;  // not leased at this moment

 private:
  explicit StagingPool(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)) {}

  std::shared_ptr<Shared> shared_;
};

}  // namespace caisson
