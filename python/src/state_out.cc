// SPDX-License-Identifier: Apache-2.0
#include "python/src/state_out.h"

#include <nanobind/stl/complex.h>
#include <nanobind/stl/string.h>

#include <complex>
#include <string>
#include <vector>

#include "python/src/errors.h"
#include "python/src/memory.h"

namespace caisson::python {
namespace {

nb::object BytesFrom(const std::string& data) {
  return nb::bytes(data.data(), data.size());
}

nb::object IntFrom(const Integer& integer) {
  if (const auto small = integer.ToInt64()) return nb::int_(*small);
  return nb::module_::import_("builtins")
      .attr("int")
      .attr("from_bytes")(BytesFrom(integer.ToTwosComplement()), "little",
                          nb::arg("signed") = true);
}

nb::object TupleOf(const std::vector<int64_t>& ints) {
  nb::list items;
  for (const int64_t value : ints) items.append(value);
  return nb::tuple(items);
}

nb::object StrFrom(std::string_view text) {
  return nb::str(text.data(), text.size());
}

}  // namespace

nb::object StateOut::Run(const Node& root) {
  nb::object made = Convert(root);
  return left(made) ? nb::none() : made;
}

nb::object StateOut::Str(const Text& text) {
  nb::object& made = known_[text.identity()];
  if (!made.is_valid()) {
    made = nb::steal(PyUnicode_DecodeUTF8(
        text.str().data(), static_cast<Py_ssize_t>(text.str().size()),
        "surrogatepass"));
    if (!made.is_valid()) throw nb::python_error();
  }
  return made;
}

nb::object StateOut::Convert(const Node& node) {
  if (node.none()) return nb::none();
  const auto known = known_.find(node.identity());
  if (known != known_.end()) return known->second;
  nb::object made = ConvertNew(node);
  if (!left(made)) known_.emplace(node.identity(), made);
  return made;
}

nb::list StateOut::ItemsOf(const std::vector<Node>& items) {
  nb::list made;
  for (const Node& item : items) {
    nb::object value = Convert(item);
    made.append(left(value) ? nb::none() : value);
  }
  return made;
}

nb::object StateOut::DictOf(const Dict& dict) {
  nb::object made = nb::dict();
  if (dict.ordered) {
    made = nb::module_::import_("collections").attr("OrderedDict")();
  }
  for (const auto& [key, value] : dict.entries()) {
    const nb::object item = Convert(value);
    if (!left(item)) made[Convert(key)] = item;
  }
  if (!dict.attributes.none()) {
    made.attr("__dict__").attr("update")(Convert(dict.attributes));
  }
  return made;
}

nb::object StateOut::StorageOf(const StorageHandle& storage) {
  nb::object& made = storages_[storage.get()];
  if (!made.is_valid()) {
    const nb::object buffer =
        storage->region.bytes == 0 ? nb::none() : AsBuffer(storage);
    made = library_.attr("storage")(buffer, storage->region.bytes,
                                    Str(storage->location), device_);
  }
  return made;
}

nb::object StateOut::TensorOf(const TensorView& view) {
  if (!view.storage->resident()) {
    if (leave_) return {};
    Raise(Status::InvalidArgument("tensor '" + view.spec.name +
                                  "': its bytes were not read"));
  }
  return library_.attr("tensor")(
      StorageOf(view.storage), StrFrom(Name(view.spec.dtype)), view.offset,
      TupleOf(view.spec.shape), TupleOf(view.strides), view.requires_grad,
      view.conj, view.neg);
}

nb::object StateOut::ObjectOf(const Object& object) {
  const Global& global = object.global();
  const Tuple* args = object.args.As<Tuple>();
  if (global.name.empty() || args == nullptr) {
    Raise(Status::Unsupported("an object that no name stands for"));
  }
  nb::list values;
  for (const Node& arg : args->items) {
    nb::object value = Convert(arg);
    if (left(value)) return {};
    values.append(value);
  }
  nb::list entries;
  for (const auto& [key, value] : object.entries) {
    entries.append(nb::make_tuple(Convert(key), Convert(value)));
  }
  nb::object state = nb::none();
  if (object.has_state) state = nb::make_tuple(Convert(object.state));
  return library_.attr("call")(StrFrom(global.module), StrFrom(global.name),
                               object.made == Object::Made::kByClass,
                               nb::tuple(values), ItemsOf(object.items),
                               entries, state);
}

nb::object StateOut::ConvertNew(const Node& node) {
  if (const auto* truth = node.As<bool>()) return nb::bool_(*truth);
  if (const auto* integer = node.As<Integer>()) return IntFrom(*integer);
  if (const auto* number = node.As<double>()) return nb::float_(*number);
  if (const auto* pair = node.As<std::complex<double>>()) {
    return nb::cast(*pair);
  }
  if (const auto* text = node.As<Text>()) return Str(*text);
  if (const auto* bytes = node.As<Bytes>()) return BytesFrom(bytes->data);
  if (const auto* array = node.As<ByteArray>()) {
    return nb::steal(PyByteArray_FromStringAndSize(
        array->data.data(), static_cast<Py_ssize_t>(array->data.size())));
  }
  if (const auto* list = node.As<List>()) return ItemsOf(list->items);
  if (const auto* tuple = node.As<Tuple>()) {
    return nb::tuple(ItemsOf(tuple->items));
  }
  if (const auto* set = node.As<Set>()) {
    const nb::object items = ItemsOf(set->items);
    return nb::steal(set->frozen ? PyFrozenSet_New(items.ptr())
                                 : PySet_New(items.ptr()));
  }
  if (const auto* dict = node.As<Dict>()) return DictOf(*dict);
  if (const auto* view = node.As<TensorView>()) return TensorOf(*view);
  if (const auto* storage = node.As<StorageHandle>()) {
    if (leave_ && !(*storage)->resident()) return {};
    const auto dtype = (*storage)->dtype;
    return library_.attr("typed")(StorageOf(*storage),
                                  dtype ? StrFrom(Name(*dtype)) : nb::none());
  }
  if (const auto* global = node.As<Global>()) {
    return library_.attr("named")(StrFrom(global->module),
                                  StrFrom(global->name));
  }
  return ObjectOf(*node.As<Object>());
}

}  // namespace caisson::python
