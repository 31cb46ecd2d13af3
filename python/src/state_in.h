// SPDX-License-Identifier: Apache-2.0
//
// From Python's objects to a State, keeping who is the same object as whom.
//
// All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "caisson/state.h"
#include "python/src/storage_in.h"

namespace caisson::python {

namespace nb = nanobind;

class StateIn {
 public:
  // `arrays`: whether arrays of other libraries than torch become tensors;
  // otherwise they are refused. `cast`: None, or called with name, storage and
  // dtype of each tensor; see caisson._cast. `in_place`: the tensors are to be
  // written.
  StateIn(bool arrays, nb::object cast, bool in_place = false);

  // The tree of `root`. Its storages are those of the tensors, which it keeps
  // alive. Raises UnsupportedError, naming its place, for what cannot be
  // carried safely.
  State Run(nb::handle root);

  // To be called when they were written.
  void CopyBack() const { storages_.CopyBack(); }

  // Work that the tensors come after.
  std::vector<DeviceStream> streams() const { return storages_.streams(); }

 private:
  using Step = std::variant<nb::handle, size_t>;  // a key, or a position

  Node Convert(nb::handle object);
  Node ConvertNew(nb::handle object);
  Node ConvertForeign(nb::handle object);
  Node Child(Step step, nb::handle object);

  Node Integral(nb::handle object);
  Node Str(nb::handle object);
  Node BytesOf(nb::handle object);
  Node DictOf(nb::handle object, bool ordered);
  std::vector<Node> ItemsOf(nb::handle sequence);
  Node Shared(nb::handle object, Node node);

  // Objects that say by a call how they are made: objects.cc.
  Node Reduced(nb::handle object);
  Node GlobalOf(nb::handle object, const std::string& name);
  Node Folded(nb::handle object, const Global& callable, nb::handle args);
  void Fill(nb::handle reduced, Object* made);

  bool IsA(nb::handle object, const char* module, const char* name);
  std::string Where() const;
  std::string Name() const;  // the path joined by '.'
  [[noreturn]] void RefuseType(nb::handle object);

  const bool arrays_;
  const nb::object torch_;  // None where it is not imported
  const Text cpu_;          // Python's one 'cpu'
  std::shared_ptr<Held> held_;
  StoragesIn storages_;
  std::vector<nb::object> alive_;  // so that no address is met twice
  std::unordered_map<PyObject*, Node> known_;
  std::unordered_set<PyObject*> open_;  // containers being converted
  std::unordered_map<std::string, nb::object> types_;
  std::vector<Step> path_;
};

}  // namespace caisson::python
