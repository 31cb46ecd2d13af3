// SPDX-License-Identifier: Apache-2.0
//
// mmap rather than malloc: a failure is an error instead of an abort or a
// throw, and the pages go back to the system with the buffer.
#include "core/device/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>

namespace caisson {
namespace {

size_t RoundUp(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

Status OutOfMemory(size_t bytes, int error) {
  return Status::OutOfMemory(
      "host buffer: needed " + std::to_string(bytes) +
      " bytes: " + std::generic_category().message(error));
}

// Maps `bytes`, a multiple of the page size, at a multiple of `alignment`, by
// mapping more and giving back what lies around. nullptr with errno on failure.
std::byte* MapAligned(size_t bytes, size_t alignment) {
  const size_t slack = alignment - PageBytes();
  void* mapping = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  auto* const start = static_cast<std::byte*>(mapping);
  const auto address = reinterpret_cast<uintptr_t>(mapping);
  const size_t before = RoundUp(address, alignment) - address;
  if (before > 0) munmap(start, before);
  if (slack > before) munmap(start + before + bytes, slack - before);
  return start + before;
}

}  // namespace

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

Result<Buffer> Buffer::Allocate(size_t bytes) {
  if (bytes == 0) return Buffer();
  // Leaves room for the rounding and the slack below.
  if (bytes > std::numeric_limits<ptrdiff_t>::max() - 2 * kHugePageBytes) {
    return OutOfMemory(bytes, ENOMEM);
  }
  const bool huge = bytes >= kHugePageBytes;
  const size_t mapped = RoundUp(bytes, PageBytes());
  std::byte* const data =
      MapAligned(mapped, huge ? kHugePageBytes : PageBytes());
  if (data == nullptr) return OutOfMemory(bytes, errno);
  // A request; where it is refused, small pages serve.
  if (huge) madvise(data, mapped, MADV_HUGEPAGE);
  return Buffer(data, bytes);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Buffer::Release() {
  if (data_ != nullptr) munmap(data_, RoundUp(bytes_, PageBytes()));
}

Status TouchPages(std::span<std::byte> memory) {
  if (memory.empty()) return Status::Ok();
#ifdef MADV_POPULATE_WRITE  // Linux 5.14
  if (madvise(memory.data(), memory.size(), MADV_POPULATE_WRITE) == 0) {
    return Status::Ok();
  }
  if (errno == ENOMEM) return OutOfMemory(memory.size(), ENOMEM);
#endif
  for (size_t i = 0; i < memory.size(); i += PageBytes()) {
    // Rewriting the byte it has makes the page ours and keeps the contents.
    auto* const byte = reinterpret_cast<volatile unsigned char*>(&memory[i]);
    *byte = *byte;
  }
  return Status::Ok();
}

}  // namespace caisson
