// SPDX-License-Identifier: Apache-2.0
//
// Many transfers between files and memory at once. Whoever submits one goes on
// and is called when it is done.
//
// Two of them stand behind this contract: threads that call File, which is the
// reference and works everywhere, and io_uring, which hands the descriptor to
// the kernel, past the FileSystem that the File was opened with.
//
// Thread safety: Read() and Write() may be called on many threads at once, also
// from within a Done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "caisson/status.h"
#include "core/io/file.h"

namespace caisson {

class IoQueue {
 public:
  // What came of a transfer: how many bytes, or the error that File::ReadUpTo()
  // or File::WriteAt() gives. Called once for each, on a thread of the queue,
  // which it must not keep waiting.
  using Done = std::function<void(Result<size_t>)>;

  // Waits until every transfer is done, also those that a Done submits
  // meanwhile. REQUIRES: not called from a Done.
  virtual ~IoQueue() = default;

  // Fills dst from `offset` on; fewer bytes than asked for mean the end of the
  // file, and what dst holds behind them is unspecified. `file` and the memory
  // must stay until `done` is called. Does not wait for the transfer: more than
  // depth() of them stand in line, in order.
  virtual void Read(const File& file, uint64_t offset, std::span<std::byte> dst,
                    Done done) = 0;

  // Writes all of src, or fails. Writes whose ranges overlap may happen in any
  // order.
  virtual void Write(File& file, uint64_t offset,
                     std::span<const std::byte> src, Done done) = 0;

  // Says that transfers will often use this memory, which must outlive the
  // queue. Pays where the kernel can keep it pinned; where it cannot, nothing
  // changes. Returns whether it did; false also for a second memory.
  //
  // REQUIRES: nothing was submitted yet.
  virtual bool Register(std::span<std::byte> memory) = 0;

  // How many transfers run at once.
  virtual size_t depth() const = 0;

  // "threads" or "io_uring".
  virtual std::string_view name() const = 0;
};

// Runs `depth` transfers at once, or as many as the system gives threads.
//
// REQUIRES, here and below: depth > 0.
//
// Errors: kUnavailable if it gives not one.
Result<std::unique_ptr<IoQueue>> MakeThreadQueue(size_t depth);

// Errors: kUnavailable, with the reason, where the kernel forbids io_uring or
// lacks what is needed of it, or this build has no liburing.
Result<std::unique_ptr<IoQueue>> MakeUringQueue(size_t depth);

}  // namespace caisson
