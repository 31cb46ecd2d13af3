// SPDX-License-Identifier: Apache-2.0
//
// Where an archive's bytes go, in order: a file, a function, or memory.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "caisson/status.h"

namespace caisson {

class ByteOutput {
 public:
  virtual ~ByteOutput() = default;

  virtual Status Put(std::span<const std::byte> bytes) = 0;

  // Zeros; a hole where the output can have one.
  virtual Status Skip(uint64_t bytes) = 0;

  // Nothing comes any more. Without it a file does not appear.
  virtual Status Finish() = 0;
};

// A file that appears with Finish(). Errors: those of AtomicFile::Create.
Result<std::unique_ptr<ByteOutput>> FileOutput(const std::string& path,
                                               bool sync);

// Calls `sink`, which returns how many bytes it took.
std::unique_ptr<ByteOutput> SinkOutput(
    std::function<size_t(const void* data, size_t size)> sink);

// Appends to *bytes.
std::unique_ptr<ByteOutput> MemoryOutput(std::vector<std::byte>* bytes);

}  // namespace caisson
