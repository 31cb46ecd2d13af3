// SPDX-License-Identifier: Apache-2.0
//
// Lets Ctrl-C end a long call of the engine, and tells Python how far it is.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "caisson/engine.h"

namespace caisson::python {

namespace nb = nanobind;

// Thread safety: the callback runs on the thread that made it, without the GIL.
class Interrupt {
 public:
  // `told`: None, or called with bytes done, bytes in all and seconds.
  explicit Interrupt(nb::object told) : told_(std::move(told)) {}
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // For a call that is over before this object is.
  ProgressCallback callback();

  // Raises what a signal's handler or `told` raised. Needs the GIL.
  void Rethrow();

 private:
  void Poll(const Progress& progress);

  nb::object told_;
  double next_ = 0;  // seconds, when Python is asked again
  std::optional<nb::python_error> raised_;
};

}  // namespace caisson::python
