// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/device/buffer.h"

namespace caisson {
namespace {

constexpr size_t kAlignment = 256;
constexpr int kNoise = 0xDD;

std::byte* Map(int fd, size_t bytes, int protection) {
  void* const mapped =
      mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (mapped == MAP_FAILED) std::abort();  // of the test, not of the library
  return static_cast<std::byte*>(mapped);
}

size_t RoundedUp(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

FakeMemory::FakeMemory(int devices, size_t bytes_each)
    : bytes_(RoundedUp(bytes_each, PageBytes())) {
  for (int i = 0; i < devices; ++i) {
    const int fd = memfd_create("fake device", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes_)) != 0) std::abort();
    Arena arena;
    arena.given = Map(fd, bytes_, PROT_NONE);
    arena.alias = Map(fd, bytes_, PROT_READ | PROT_WRITE);
    arenas_.push_back(std::move(arena));
    close(fd);
  }
}

FakeMemory::~FakeMemory() {
  for (const Arena& arena : arenas_) {
    munmap(arena.given, bytes_);
    munmap(arena.alias, bytes_);
  }
}

Result<std::byte*> FakeMemory::Allocate(Device device, size_t bytes) {
  const std::lock_guard hold(lock_);
  Arena& arena = arenas_[static_cast<size_t>(device.ordinal)];
  size_t at = 0;
  for (const auto& [offset, size] : arena.taken) {
    if (bytes <= offset - at) break;
    at = RoundedUp(offset + size, kAlignment);
  }
  if (at > bytes_ || bytes > bytes_ - at) {
    return Status::OutOfMemory("allocate " + std::to_string(bytes) +
                               " bytes on " + Name(device));
  }
  arena.taken[at] = bytes;
  std::memset(arena.alias + at, kNoise, bytes);
  return arena.given + at;
}

Status FakeMemory::Free(Device device, std::byte* data) {
  const std::lock_guard hold(lock_);
  Arena& arena = arenas_[static_cast<size_t>(device.ordinal)];
  const auto found = arena.taken.find(static_cast<size_t>(data - arena.given));
  if (data < arena.given || found == arena.taken.end()) {
    return Status::InvalidArgument("free what was not allocated");
  }
  std::memset(arena.alias + found->first, kNoise, found->second);
  arena.taken.erase(found);
  return Status::Ok();
}

DeviceMemory FakeMemory::Of(Device device) const {
  const std::lock_guard hold(lock_);
  uint64_t taken = 0;
  for (const auto& [offset, size] :
       arenas_[static_cast<size_t>(device.ordinal)].taken) {
    taken += RoundedUp(size, kAlignment);
  }
  return {bytes_ - std::min<uint64_t>(taken, bytes_), bytes_};
}

Status FakeMemory::Pin(std::span<std::byte> memory) {
  const size_t page = PageBytes();
  if (reinterpret_cast<uintptr_t>(memory.data()) % page != 0 ||
      memory.size() % page != 0 || memory.empty()) {
    return Status::InvalidArgument("pin what is not whole pages");
  }
  if (TouchesPinned(memory.data(), memory.size())) {
    return Status::InvalidArgument("pin what is pinned");
  }
  const std::lock_guard hold(lock_);
  pinned_[memory.data()] = memory.size();
  return Status::Ok();
}

Status FakeMemory::Unpin(std::byte* data) {
  const std::lock_guard hold(lock_);
  if (pinned_.erase(data) == 1) return Status::Ok();
  return Status::InvalidArgument("unpin what is not pinned");
}

const std::byte* FakeMemory::Find(const Arena& arena, const std::byte* data,
                                  size_t bytes) const {
  if (data < arena.given || data >= arena.given + bytes_) return nullptr;
  const auto at = static_cast<size_t>(data - arena.given);
  auto after = arena.taken.upper_bound(at);
  if (after == arena.taken.begin()) return nullptr;
  --after;
  if (at + bytes > after->first + after->second) return nullptr;
  return arena.alias + at;
}

std::byte* FakeMemory::Touchable(Device device, const std::byte* data,
                                 size_t bytes) const {
  if (IsPinned(data, bytes)) return const_cast<std::byte*>(data);
  const std::lock_guard hold(lock_);
  return const_cast<std::byte*>(
      Find(arenas_[static_cast<size_t>(device.ordinal)], data, bytes));
}

std::byte* FakeMemory::Alias(const std::byte* data, size_t bytes) const {
  const std::lock_guard hold(lock_);
  for (const Arena& arena : arenas_) {
    if (const std::byte* found = Find(arena, data, bytes)) {
      return const_cast<std::byte*>(found);
    }
  }
  return nullptr;
}

bool FakeMemory::IsPinned(const std::byte* data, size_t bytes) const {
  const std::lock_guard hold(lock_);
  auto after = pinned_.upper_bound(data);
  if (after == pinned_.begin()) return false;
  --after;
  return data + bytes <= after->first + after->second;
}

bool FakeMemory::TouchesPinned(const std::byte* data, size_t bytes) const {
  const std::lock_guard hold(lock_);
  auto after = pinned_.lower_bound(data + bytes);
  if (after == pinned_.begin()) return false;
  --after;
  return data < after->first + after->second;
}

bool FakeMemory::IsDevice(const std::byte* data) const {
  for (const Arena& arena : arenas_) {
    if (data >= arena.given && data < arena.given + bytes_) return true;
  }
  return false;
}

size_t FakeMemory::allocations() const {
  const std::lock_guard hold(lock_);
  size_t count = 0;
  for (const Arena& arena : arenas_) count += arena.taken.size();
  return count;
}

size_t FakeMemory::pins() const {
  const std::lock_guard hold(lock_);
  return pinned_.size();
}

}  // namespace caisson
