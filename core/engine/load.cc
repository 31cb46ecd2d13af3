// SPDX-License-Identifier: Apache-2.0
//
// Reader::Load: the whole state into memory of its own.
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>

#include "caisson/reader.h"
#include "core/base/state_clone.h"
#include "core/base/status_macros.h"
#include "core/device/buffer.h"
#include "core/engine/reader_impl.h"
#include "core/engine/storage_io.h"

namespace caisson {
namespace {

// Below this a storage comes from the heap, above it has pages of its own.
constexpr size_t kOwnPagesFrom = size_t{64} << 10;

// What torch aligns its tensors to.
constexpr std::align_val_t kAlignment{64};

// Memory for one storage, kept by its owner.
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

}  // namespace

Result<State> Reader::Load(const LoadOptions& options) const {
  if (!options.keep_unknown) CAISSON_RETURN_IF_ERROR(impl_->CheckGlobals());
  std::unordered_map<const Storage*, StorageHandle> copies;
  State state;
  state.profile = impl_->layout.state.profile;
  state.root =
      CloneTree(impl_->layout.state.root, [&](const StorageHandle& described) {
        auto copy = std::make_shared<Storage>(*described);
        copies.emplace(described.get(), copy);
        return copy;
      });
  const CrcCheck check = options.verify ? CrcCheck::kOn : CrcCheck::kOff;
  for (const StorageLayout& storage : impl_->layout.storages) {
    const auto found = copies.find(storage.handle.get());
    if (found == copies.end()) continue;  // the pickle drops it again
    Storage& copy = *found->second;
    CAISSON_RETURN_IF_ERROR(MakeResident(copy));
    CAISSON_RETURN_IF_ERROR(ReadStorage(impl_->source, storage, 0,
                                        {copy.region.data, copy.region.bytes},
                                        check)
                                .status());
  }
  return state;
}

}  // namespace caisson
