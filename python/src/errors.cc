// SPDX-License-Identifier: Apache-2.0
#include "python/src/errors.h"

namespace caisson::python {
namespace {

[[noreturn]] void RaiseAs(std::string_view code, std::string_view message,
                          std::string_view path) {
  const nb::object error =
      nb::module_::import_("caisson.errors")
          .attr("_make")(nb::str(code.data(), code.size()),
                         nb::str(message.data(), message.size()),
                         nb::str(path.data(), path.size()));
  PyErr_SetObject(error.type().ptr(), error.ptr());
  throw nb::python_error();
}

}  // namespace

void Raise(const Status& status, std::string_view path) {
  RaiseAs(Name(status.code()), status.message(), path);
}

void Refuse(const std::string& where, const std::string& why) {
  RaiseAs(Name(StatusCode::kUnsupported), "state" + where + ": " + why, {});
}

}  // namespace caisson::python
