// SPDX-License-Identifier: Apache-2.0
//
// Memory between two pages that nobody may touch, so that a kernel which reads
// or writes a byte too many faults in the test that made it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <span>

namespace caisson {

class GuardedBuffer {
 public:
  // Room for `bytes`, rounded up to whole pages; all zero. Aborts the test
  // program if there is no memory.
  explicit GuardedBuffer(size_t bytes) {
    page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (bytes / page_ + 1) * page_;
    void* map = mmap(nullptr, bytes_ + 2 * page_, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) std::abort();
    data_ = static_cast<std::byte*>(map) + page_;
    if (mprotect(data_, bytes_, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  ~GuardedBuffer() { munmap(data_ - page_, bytes_ + 2 * page_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  std::span<std::byte> all() const { return {data_, bytes_}; }

  // `bytes` bytes, the first of them `gap` bytes after the guard before.
  std::span<std::byte> AtStart(size_t bytes, size_t gap = 0) const {
    assert(bytes + gap <= bytes_);
    return {data_ + gap, bytes};
  }

  // `bytes` bytes, the last of them `gap` bytes before the guard after.
  std::span<std::byte> AtEnd(size_t bytes, size_t gap = 0) const {
    assert(bytes + gap <= bytes_);
    return {data_ + bytes_ - gap - bytes, bytes};
  }

 private:
  size_t page_ = 0;
  size_t bytes_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace caisson
