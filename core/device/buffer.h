// SPDX-License-Identifier: Apache-2.0
//
// A block of host memory for bulk bytes: whole pages of its own, so direct I/O
// and page locking apply to it and to nothing else.
//
// Thread safety: a value; the bytes are the owner's to synchronise.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "caisson/status.h"

namespace caisson {

// Buffers of at least this size start at a multiple of it and ask for huge
// pages of it, which make the first touch and the TLB cheaper.
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// The unit of mapping; every Buffer starts at a multiple of it.
size_t PageBytes();

class Buffer {
 public:
  Buffer() = default;  // empty

  // Maps memory without touching it. The contents are unspecified. 0 bytes
  // give an empty buffer.
  //
  // Errors: kOutOfMemory.
  static Result<Buffer> Allocate(size_t bytes);

  // The moved-from buffer is empty.
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Release(); }

  std::byte* data() const { return data_; }  // nullptr when empty
  size_t size() const { return bytes_; }     // bytes, as asked for
  bool empty() const { return bytes_ == 0; }
  std::span<std::byte> bytes() const { return {data_, bytes_}; }

 private:
  Buffer(std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}
  void Release();

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Backs every page of `memory` with memory now, in one call where the kernel
// can, instead of one fault for each page later. Keeps the contents.
//
// REQUIRES: memory is (part of) a Buffer and starts on a page.
// Errors: kOutOfMemory.
Status TouchPages(std::span<std::byte> memory);

}  // namespace caisson
