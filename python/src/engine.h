// SPDX-License-Identifier: Apache-2.0
//
// The parts of the extension module, each of which adds its functions and
// classes, and what they share.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "caisson/reader.h"

namespace caisson::python {

namespace nb = nanobind;

// The engine as Python holds it. Letting it go waits for a save that is
// running, whose end may want the GIL.
class EngineBox {
 public:
  explicit EngineBox(Engine engine)
      : engine_(std::make_unique<Engine>(std::move(engine))) {}
  EngineBox(const EngineBox&) = delete;
  EngineBox& operator=(const EngineBox&) = delete;
  ~EngineBox() { Close(); }

  Engine& operator*() const { return *engine_; }
  Engine* operator->() const { return engine_.get(); }

  void Close() {
    const nb::gil_scoped_release free;
    engine_.reset();
  }

  // In a child process, where the threads of the engine are not.
  void Leak() { static_cast<void>(engine_.release()); }

 private:
  std::unique_ptr<Engine> engine_;
};

void AddEngine(nb::module_& module);
void AddReader(nb::module_& module);
void AddTicket(nb::module_& module);

// The object that Python gets for a save that goes on.
nb::object TicketObject(Ticket ticket, std::string path);

// Glob and dtype's name of each.
using Casts = std::vector<std::pair<std::string, std::string>>;
std::vector<Cast> CastsFrom(const Casts& given);

// What a save tells, as a dict.
nb::dict AsDict(const SaveReport& report);

// What caisson.verify() gives.
nb::dict AsDict(const VerifyReport& report);

}  // namespace caisson::python
