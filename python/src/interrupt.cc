// SPDX-License-Identifier: Apache-2.0
#include "python/src/interrupt.h"

#include <utility>

namespace caisson::python {
namespace {

// Seconds between two looks at Python, which cost the GIL.
constexpr double kPeriod = 0.05;

}  // namespace

ProgressCallback Interrupt::callback() {
  return [this](const Progress& progress) {
    const bool last = progress.bytes >= progress.total && !told_.is_none();
    if (raised_ || (progress.seconds < next_ && !last)) return;
    next_ = progress.seconds + kPeriod;
    Poll(progress);
  };
}

void Interrupt::Poll(const Progress& progress) {
  const nb::gil_scoped_acquire hold;
  try {
    if (!told_.is_none()) {
      told_(progress.bytes, progress.total, progress.seconds);
    }
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  } catch (nb::python_error& error) {
    raised_.emplace(std::move(error));
    if (progress.stop != nullptr) *progress.stop = true;
  }
}

void Interrupt::Rethrow() {
  if (!raised_) return;
  nb::python_error error = std::move(*raised_);
  raised_.reset();
  throw error;
}

}  // namespace caisson::python
