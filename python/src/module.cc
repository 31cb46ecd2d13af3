// SPDX-License-Identifier: Apache-2.0
//
// The extension module caisson._caisson, which the Python package wraps.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "caisson/version.h"
#include "python/src/engine.h"

NB_MODULE(_caisson, module) {
  namespace python = caisson::python;
  module.attr("version") = caisson::Version();
  module.def("build_info", [] {
    const caisson::BuildInfo info = caisson::QueryBuild();
    nanobind::dict made;
    made["version"] = info.version;
    made["simd_target"] = info.simd_target;
    made["cuda_devices"] = info.cuda_devices;
    made["cuda"] = info.cuda;
    made["libraries"] = info.libraries;
    return made;
  });
  python::AddEngine(module);
  python::AddTicket(module);
  python::AddReader(module);
}
