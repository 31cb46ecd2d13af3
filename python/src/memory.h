// SPDX-License-Identifier: Apache-2.0
//
// Who keeps memory alive that Python and the engine share.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "caisson/tensor.h"

namespace caisson::python {

namespace nb = nanobind;

// Python objects that the engine reads or writes without the GIL. The last
// handle may go on any thread.
class Held {
 public:
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held();

  // Needs the GIL.
  void Keep(nb::object object) { objects_.push_back(std::move(object)); }

 private:
  std::vector<nb::object> objects_;
};

// The bytes of a storage in host memory as a memoryview, writable, which keeps
// them alive.
nb::object AsBuffer(const StorageHandle& storage);

}  // namespace caisson::python
