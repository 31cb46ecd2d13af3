// SPDX-License-Identifier: Apache-2.0
//
// Tensors and arrays of Python as views of storages. torch's are read by their
// attributes, so that nothing is built against torch.
//
// All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caisson/tensor.h"
#include "python/src/memory.h"

namespace caisson::python {

class StoragesIn {
 public:
  // `cpu`: the location of host memory. `cast`, `in_place`: as of StateIn.
  StoragesIn(std::shared_ptr<Held> held, Text cpu, nb::object cast,
             bool in_place)
      : held_(std::move(held)),
        cpu_(std::move(cpu)),
        cast_(std::move(cast)),
        in_place_(in_place) {}

  // A strided torch.Tensor with a storage. `name` is what casts go by.
  TensorView Tensor(nb::handle tensor, const std::string& name);

  // A torch.TypedStorage or torch.UntypedStorage.
  StorageHandle Storage(nb::handle storage);

  // An array of another library, by what caisson._arrays.describe() says.
  TensorView Array(nb::handle description);

  std::vector<DeviceStream> streams() const { return streams_; }

  // Brings what was written to copies on the host to where they are of.
  void CopyBack() const;

 private:
  struct Entry {
    StorageHandle handle;
    std::optional<DType> cast_from;  // none: as it was
    DType cast_to = DType::kUInt8;
  };

  DType DTypeOf(nb::handle dtype);
  Entry& EntryOf(nb::handle untyped);
  void Locate(nb::handle untyped, caisson::Storage* storage);
  void AddStream(Device device);

  std::shared_ptr<Held> held_;
  const Text cpu_;
  const nb::object cast_;
  const bool in_place_;
  std::unordered_map<uintptr_t, Entry> known_;  // by torch's own address
  std::unordered_map<uintptr_t, StorageHandle> arrays_;  // by the object's
  std::unordered_map<PyObject*, DType> dtypes_;
  std::vector<DeviceStream> streams_;
  std::vector<std::pair<nb::object, nb::object>> copies_;  // of what, copy
};

}  // namespace caisson::python
