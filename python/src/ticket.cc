// SPDX-License-Identifier: Apache-2.0
//
// A save that goes on, for Python.
#include <nanobind/stl/string.h>

#include <string>
#include <utility>

#include "python/src/engine.h"
#include "python/src/errors.h"

namespace caisson::python {
namespace {

// Seconds between two looks for Ctrl-C.
constexpr double kPeriod = 0.05;

class Handle {
 public:
  Handle(Ticket ticket, std::string path)
      : ticket_(std::move(ticket)), path_(std::move(path)) {}

  nb::dict Wait() {
    Until([this] { return ticket_.DoneWithin(kPeriod); });
    return AsDict(Take(ticket_.Wait(), path_));
  }

  void Staged() {
    Until([this] { return ticket_.StagedWithin(kPeriod); });
    Check(ticket_.Staged(), path_);
  }

  bool done() const { return ticket_.done(); }
  void Cancel() { ticket_.Cancel(); }

  nb::object progress() const {
    const Progress now = ticket_.progress();
    return nb::make_tuple(now.bytes, now.total, now.seconds);
  }

 private:
  template <class Function>
  static void Until(const Function& over) {
    while (true) {
      {
        const nb::gil_scoped_release free;
        if (over()) return;
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }

  Ticket ticket_;
  const std::string path_;
};

}  // namespace

nb::object TicketObject(Ticket ticket, std::string path) {
  return nb::cast(Handle(std::move(ticket), std::move(path)));
}

void AddTicket(nb::module_& module) {
  nb::class_<Handle>(module, "Ticket")
      .def("wait", &Handle::Wait)
      .def("staged", &Handle::Staged)
      .def("done", &Handle::done)
      .def("cancel", &Handle::Cancel)
      .def("progress", &Handle::progress);
}

}  // namespace caisson::python
