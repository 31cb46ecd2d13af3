// SPDX-License-Identifier: Apache-2.0
//
// A queue of transfers, such as io_uring, whose transfers go past the
// FileSystem. Each submit and each completion is an operation of a
// FaultFileSystem, at which the process dies or the transfer fails. A queue
// absorbs short transfers itself, so that there are none here.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "core/io/io_queue.h"
#include "tests/support/fault_file_system.h"

namespace caisson {

class FaultQueue final : public IoQueue {
 public:
  // REQUIRES: `files` outlives the queue.
  FaultQueue(std::unique_ptr<IoQueue> queue, FaultFileSystem& files)
      : files_(files), queue_(std::move(queue)) {}

  void Read(const File& file, uint64_t offset, std::span<std::byte> dst,
            Done done) override {
    queue_->Read(file, offset, dst, std::move(done));
  }

  void Write(File& file, uint64_t offset, std::span<const std::byte> src,
             Done done) override {
    const Status error = FromErrno(files_.error(), file.path(), "write");
    const Fault submit = files_.Next("submit");
    if (submit == Fault::kError) return done(error);
    queue_->Write(
        file, offset, src,
        [this, submit, error, done = std::move(done)](Result<size_t> written) {
          const Fault fault = files_.Next("complete");
          const bool fails = fault == Fault::kError ||
                             fault == Fault::kErrorAfter ||
                             submit == Fault::kErrorAfter;
          done(fails ? Result<size_t>(error) : std::move(written));
        });
  }

  bool Register(std::span<std::byte> memory) override {
    return queue_->Register(memory);
  }
  size_t depth() const override { return queue_->depth(); }
  std::string_view name() const override { return queue_->name(); }

 private:
  FaultFileSystem& files_;
  const std::unique_ptr<IoQueue> queue_;  // goes first: it calls files_
};

}  // namespace caisson
