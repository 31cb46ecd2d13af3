// SPDX-License-Identifier: Apache-2.0
//
// From a State to Python's objects, keeping who is the same object as whom.
//
// All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <unordered_map>

#include "caisson/state.h"

namespace caisson::python {

namespace nb = nanobind;

class StateOut {
 public:
  // `library`: the module that makes tensors, caisson._objects for torch or
  // caisson._arrays for numpy. `device`: None, or where torch shall put them.
  // `leave`: whether tensors whose storage was not read are left out, of dicts
  // with their keys and elsewhere as None; otherwise they are errors.
  StateOut(nb::object library, nb::object device, bool leave)
      : library_(std::move(library)),
        device_(std::move(device)),
        leave_(leave) {}

  nb::object Run(const Node& root);

 private:
  nb::object Convert(const Node& node);
  nb::object ConvertNew(const Node& node);
  nb::object Str(const Text& text);
  nb::object DictOf(const Dict& dict);
  nb::object ObjectOf(const Object& object);
  nb::object StorageOf(const StorageHandle& storage);
  nb::object TensorOf(const TensorView& view);

  // The items, those that are left out as None.
  nb::list ItemsOf(const std::vector<Node>& items);
  bool left(const nb::object& object) const { return !object.is_valid(); }

  const nb::object library_;
  const nb::object device_;
  const bool leave_;
  std::unordered_map<const void*, nb::object> known_;
  std::unordered_map<const void*, nb::object> storages_;
};

}  // namespace caisson::python
