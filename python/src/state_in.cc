// SPDX-License-Identifier: Apache-2.0
#include "python/src/state_in.h"

#include <nanobind/stl/string.h>

#include <complex>
#include <utility>

#include "caisson/reader.h"
#include "python/src/errors.h"

namespace caisson::python {
namespace {

nb::object ImportedTorch() {
  const nb::object modules = nb::module_::import_("sys").attr("modules");
  return modules.attr("get")("torch", nb::none());
}

std::string Utf8(nb::handle text) {
  const nb::object bytes = nb::steal(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
  if (!bytes.is_valid()) throw nb::python_error();
  return {nb::cast<nb::bytes>(bytes).c_str(),
          nb::cast<nb::bytes>(bytes).size()};
}

// The one object that each literal 'cpu' is, torch's too.
nb::object InternedCpu() {
  return nb::steal(PyUnicode_InternFromString("cpu"));
}

bool Exactly(nb::handle object, PyTypeObject* type) {
  return Py_TYPE(object.ptr()) == type;
}

}  // namespace

StateIn::StateIn(bool arrays, nb::object cast, bool in_place)
    : arrays_(arrays),
      torch_(ImportedTorch()),
      cpu_("cpu"),
      held_(std::make_shared<Held>()),
      storages_(held_, cpu_, std::move(cast), in_place) {
  nb::object cpu = InternedCpu();
  known_.emplace(cpu.ptr(), Node(cpu_));
  alive_.push_back(std::move(cpu));
}

State StateIn::Run(nb::handle root) {
  State state;
  state.root = Convert(root);
  return state;
}

std::string StateIn::Where() const {
  std::string where;
  for (const Step& step : path_) {
    const auto* key = std::get_if<nb::handle>(&step);
    where += "[";
    where += key != nullptr ? nb::cast<std::string>(nb::repr(*key))
                            : std::to_string(std::get<size_t>(step));
    where += "]";
  }
  return where;
}

std::string StateIn::Name() const {
  std::string name;
  for (const Step& step : path_) {
    if (!name.empty()) name += ".";
    const auto* key = std::get_if<nb::handle>(&step);
    name += key != nullptr ? Utf8(nb::str(*key))
                           : std::to_string(std::get<size_t>(step));
  }
  return name;
}

void StateIn::RefuseType(nb::handle object) {
  const nb::handle type = object.type();
  Refuse(Where(),
         "cannot carry a " + nb::cast<std::string>(type.attr("__module__")) +
             "." + nb::cast<std::string>(type.attr("__qualname__")) +
             " safely; give plain containers, numbers, text and tensors");
}

bool StateIn::IsA(nb::handle object, const char* module, const char* name) {
  if (torch_.is_none()) return false;
  const std::string dotted = std::string(module) + "." + name;
  auto [known, added] = types_.try_emplace(dotted);
  if (added) known->second = nb::module_::import_(module).attr(name);
  return PyObject_IsInstance(object.ptr(), known->second.ptr()) == 1;
}

Node StateIn::Child(Step step, nb::handle object) {
  if (path_.size() >= kMaxDepth) Refuse("", "nested too deep");
  path_.push_back(step);
  Node node = Convert(object);
  path_.pop_back();
  return node;
}

Node StateIn::Shared(nb::handle object, Node node) {
  alive_.push_back(nb::borrow(object));
  known_.emplace(object.ptr(), node);
  return node;
}

Node StateIn::Convert(nb::handle object) {
  if (object.is_none()) return Node();
  if (Exactly(object, &PyBool_Type)) return Node(object.ptr() == Py_True);
  if (Exactly(object, &PyLong_Type)) return Integral(object);
  if (Exactly(object, &PyFloat_Type)) return Node(nb::cast<double>(object));
  const auto known = known_.find(object.ptr());
  if (known != known_.end()) return known->second;
  if (IsA(object, "torch.storage", "TypedStorage") ||
      IsA(object, "torch", "UntypedStorage")) {
    return Node(storages_.Storage(object));
  }
  if (!open_.insert(object.ptr()).second) {
    Refuse(Where(), "a container that contains itself");
  }
  Node node = Shared(object, ConvertNew(object));
  open_.erase(object.ptr());
  return node;
}

Node StateIn::Integral(nb::handle object) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(object.ptr(), &overflow);
  if (overflow == 0) return Node(Integer(small));
  const auto bits = nb::cast<size_t>(object.attr("bit_length")());
  const nb::bytes bytes(object.attr("to_bytes")(bits / 8 + 1, "little",
                                                nb::arg("signed") = true));
  const auto* data = reinterpret_cast<const std::byte*>(bytes.c_str());
  return Node(Integer::FromTwosComplement({data, bytes.size()}));
}

Node StateIn::Str(nb::handle object) { return Node(Text(Utf8(object))); }

Node StateIn::BytesOf(nb::handle object) {
  const nb::bytes bytes = nb::borrow<nb::bytes>(object);
  Bytes value{std::string(bytes.c_str(), bytes.size())};
  if (bytes.size() == 1) {
    // CPython has one str for each such character, which others may share.
    const nb::object text = object.attr("decode")("latin1");
    value.latin1 = *Convert(text).As<Text>();
  }
  return Node(std::move(value));
}

std::vector<Node> StateIn::ItemsOf(nb::handle sequence) {
  std::vector<Node> items;
  size_t position = 0;
  for (const nb::handle item : sequence) {
    items.push_back(Child(position++, item));
  }
  return items;
}

Node StateIn::DictOf(nb::handle object, bool ordered) {
  Dict dict(ordered);
  for (const nb::handle item : object.attr("items")()) {
    const nb::object key = item[0];
    Node name = Convert(key);
    Check(dict.Set(std::move(name), Child(nb::handle(key), item[1])));
  }
  if (ordered) {
    const nb::object attributes = object.attr("__dict__");
    if (nb::len(attributes) > 0) dict.attributes = Convert(attributes);
  }
  return Node(std::move(dict));
}

Node StateIn::ConvertNew(nb::handle object) {
  if (Exactly(object, &PyUnicode_Type)) return Str(object);
  if (Exactly(object, &PyDict_Type)) return DictOf(object, false);
  if (Exactly(object, &PyList_Type)) return Node(List{ItemsOf(object)});
  if (Exactly(object, &PyTuple_Type)) return Node(Tuple{ItemsOf(object)});
  if (Exactly(object, &PyBytes_Type)) return BytesOf(object);
  if (Exactly(object, &PyByteArray_Type)) {
    const nb::bytes bytes(nb::steal(PyBytes_FromObject(object.ptr())));
    return Node(ByteArray{std::string(bytes.c_str(), bytes.size())});
  }
  if (Exactly(object, &PyComplex_Type)) {
    return Node(std::complex<double>(PyComplex_RealAsDouble(object.ptr()),
                                     PyComplex_ImagAsDouble(object.ptr())));
  }
  if (Exactly(object, &PySet_Type) || Exactly(object, &PyFrozenSet_Type)) {
    return Node(Set{ItemsOf(object), Exactly(object, &PyFrozenSet_Type)});
  }
  const nb::object ordered =
      nb::module_::import_("collections").attr("OrderedDict");
  if (object.type().is(ordered)) return DictOf(object, true);
  return ConvertForeign(object);
}

// Objects of libraries.
Node StateIn::ConvertForeign(nb::handle object) {
  if (IsA(object, "torch", "Tensor")) {
    const nb::object plain =
        nb::module_::import_("caisson._objects").attr("is_plain");
    if (nb::cast<bool>(plain(object))) {
      return Node(storages_.Tensor(object, Name()));
    }
    return Reduced(object);
  }
  if (PyType_Check(object.ptr())) {
    return GlobalOf(object, nb::cast<std::string>(object.attr("__qualname__")));
  }
  const nb::object describe =
      nb::module_::import_("caisson._arrays").attr("describe");
  const nb::object description = describe(object);
  if (!description.is_none()) {
    if (arrays_) return Node(storages_.Array(description));
    RefuseType(object);
  }
  return Reduced(object);
}

}  // namespace caisson::python
