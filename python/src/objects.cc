// SPDX-License-Identifier: Apache-2.0
//
// Objects that say by a call how they are made, as pickle asks them to. Only
// what torch.load(weights_only=True) accepts is taken.
#include <nanobind/stl/string.h>

#include <utility>

#include "caisson/reader.h"
#include "python/src/errors.h"
#include "python/src/state_in.h"

namespace caisson::python {
namespace {

std::string ModuleOf(nb::handle object, const std::string& name) {
  const nb::object which = nb::module_::import_("pickle").attr("whichmodule");
  return nb::cast<std::string>(which(object, name));
}

// The rebuild that folds into the tensor itself.
bool IsPlainRebuild(const Global& global) {
  return global.module == "torch._utils" &&
         (global.name == "_rebuild_tensor_v2" ||
          global.name == "_rebuild_tensor_v3");
}

}  // namespace

Node StateIn::GlobalOf(nb::handle object, const std::string& name) {
  Global global{ModuleOf(object, name), name};
  if (!IsLoadable(global)) {
    Refuse(Where(), "cannot carry " + global.dotted() + " safely");
  }
  return Node(std::move(global));
}

// Quantised tensors and tensors with attributes, as a Reader gives them.
Node StateIn::Folded(nb::handle object, const Global& callable,
                     nb::handle args) {
  Object made;
  made.callable = callable;
  if (callable.name == "_rebuild_qtensor") {
    TensorView view = storages_.Tensor(object, Name());
    view.requires_grad = false;
    made.args = Tuple{{std::move(view), Convert(args[4]), Convert(args[5]),
                       Convert(args[6])}};
    return Node(std::move(made));
  }
  Node func = Convert(args[0]);
  const Global* rebuild = func.As<Global>();
  if (rebuild == nullptr || !IsPlainRebuild(*rebuild)) return Node();
  Node type = Convert(args[1]);
  TensorView view = storages_.Tensor(object, Name());
  made.args = Tuple{
      {std::move(func), std::move(type), std::move(view), Convert(args[3])}};
  return Node(std::move(made));
}

// State, list items and dict items, as far as they are there.
void StateIn::Fill(nb::handle reduced, Object* made) {
  const size_t parts = nb::len(reduced);
  if (parts > 3 && !nb::handle(reduced[3]).is_none()) {
    made->items = ItemsOf(reduced[3]);
  }
  if (parts > 4 && !nb::handle(reduced[4]).is_none()) {
    for (const nb::handle entry : reduced[4]) {
      Node key = Convert(entry[0]);
      made->entries.emplace_back(std::move(key), Convert(entry[1]));
    }
  }
  if (parts > 2 && !nb::handle(reduced[2]).is_none()) {
    made->has_state = true;
    made->state = Convert(reduced[2]);
  }
}

Node StateIn::Reduced(nb::handle object) {
  const nb::object reduced =
      nb::module_::import_("caisson._objects").attr("reduce")(object);
  if (reduced.is_none()) RefuseType(object);
  alive_.push_back(reduced);
  if (nb::isinstance<nb::str>(reduced)) {
    return GlobalOf(object, nb::cast<std::string>(reduced));
  }
  Object made;
  nb::object callable = reduced[0];
  nb::object args = reduced[1];
  const auto name = nb::cast<std::string>(callable.attr("__qualname__"));
  if (name == "__newobj__") {
    made.made = Object::Made::kByClass;
    callable = args[0];
    args = nb::steal(PySequence_GetSlice(args.ptr(), 1, PY_SSIZE_T_MAX));
    alive_.push_back(args);
  }
  made.callable = Convert(callable);
  const Global* global = made.callable.As<Global>();
  if (global == nullptr) RefuseType(object);
  if (global->name == "_rebuild_qtensor" ||
      global->name == "_rebuild_from_type_v2") {
    Node folded = Folded(object, *global, args);
    if (!folded.none()) return folded;
  }
  made.args = Convert(args);
  Fill(reduced, &made);
  return Node(std::move(made));
}

}  // namespace caisson::python
