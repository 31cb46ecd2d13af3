// SPDX-License-Identifier: Apache-2.0
#include "core/engine/read/resident.h"

#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/base/status_macros.h"
#include "core/device/buffer.h"

namespace caisson {
namespace {

// Below this a storage comes from the heap, above it has pages of its own.
constexpr size_t kOwnPagesFrom = size_t{64} << 10;

// What torch aligns its tensors to.
constexpr std::align_val_t kAlignment{64};

}  // namespace

Status MakeResident(Storage& storage) {
  const size_t bytes = storage.region.bytes;
  if (bytes == 0) return Status::Ok();
  if (bytes >= kOwnPagesFrom) {
    CAISSON_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(bytes));
    auto owner = std::make_shared<Buffer>(std::move(buffer));
    storage.region.data = owner->data();
    storage.owner = std::move(owner);
    return Status::Ok();
  }
  void* memory = ::operator new(bytes, kAlignment, std::nothrow);
  if (memory == nullptr) {
    return Status::OutOfMemory("a storage of " + std::to_string(bytes) +
                               " bytes");
  }
  storage.region.data = static_cast<std::byte*>(memory);
  storage.owner = std::shared_ptr<const void>(memory, [](const void* old) {
    ::operator delete(const_cast<void*>(old), kAlignment);
  });
  return Status::Ok();
}

}  // namespace caisson
