// SPDX-License-Identifier: Apache-2.0
//
// From Status to Python's exceptions, in one place.
//
// All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>
#include <utility>

#include "caisson/status.h"

namespace caisson::python {

namespace nb = nanobind;

// Raises the class of caisson.errors for `status`, which is not OK. `path`: the
// file that the call was about, or empty.
[[noreturn]] void Raise(const Status& status, std::string_view path = {});

// Raises that the object at `where`, such as "['model']['w']", is refused.
[[noreturn]] void Refuse(const std::string& where, const std::string& why);

inline void Check(const Status& status, std::string_view path = {}) {
  if (!status.ok()) Raise(status, path);
}

template <class T>
T Take(Result<T> result, std::string_view path = {}) {
  if (!result) Raise(result.error(), path);
  return *std::move(result);
}

}  // namespace caisson::python
