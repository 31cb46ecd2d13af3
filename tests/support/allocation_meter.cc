// SPDX-License-Identifier: Apache-2.0
#include "tests/support/allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> held{0};
std::atomic<size_t> peak{0};

void* Counted(void* memory) {
  if (memory == nullptr) return nullptr;
  const size_t bytes = malloc_usable_size(memory);
  const size_t now = held.fetch_add(bytes) + bytes;
  size_t before = peak.load();
  while (before < now && !peak.compare_exchange_weak(before, now)) {
  }
  return memory;
}

void Release(void* memory) {
  if (memory != nullptr) held -= malloc_usable_size(memory);
  std::free(memory);
}

void* Aligned(size_t bytes, std::align_val_t alignment) {
  const auto unit = static_cast<size_t>(alignment);
  return Counted(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return OrThrow(Counted(malloc(bytes))); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return Counted(malloc(bytes));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return OrThrow(Aligned(bytes, alignment));
}
void* operator new(size_t bytes, std::align_val_t alignment,
                   const std::nothrow_t&) noexcept {
  return Aligned(bytes, alignment);
}
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete(void* memory, size_t) noexcept { Release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept {
  Release(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  Release(memory);
}

namespace caisson {

AllocationMeter::AllocationMeter() : start_(held.load()) { peak = start_; }

size_t AllocationMeter::PeakBytes() const { return peak.load() - start_; }

size_t AllocationMeter::HeldBytes() const {
  const size_t now = held.load();
  return now > start_ ? now - start_ : 0;
}

}  // namespace caisson
