// SPDX-License-Identifier: Apache-2.0
#include "python/src/memory.h"

#include <nanobind/ndarray.h>

#include <utility>

namespace caisson::python {

Held::~Held() {
  if (objects_.empty()) return;
  if (!nb::is_alive()) {
    // The interpreter is gone, and its objects with it.
    for (nb::object& object : objects_) object.release();
    return;
  }
  const nb::gil_scoped_acquire hold;
  objects_.clear();
}

nb::object AsBuffer(const StorageHandle& storage) {
  using Owner = std::shared_ptr<const void>;
  auto owner = std::make_unique<Owner>(storage->owner);
  const nb::capsule keeper(owner.release(), [](void* pointer) noexcept {
    delete static_cast<Owner*>(pointer);
  });
  const size_t shape[1] = {storage->region.bytes};
  return nb::cast(
      nb::ndarray<nb::memview, uint8_t, nb::ndim<1>, nb::device::cpu>(
          storage->region.data, 1, shape, keeper));
}

}  // namespace caisson::python
