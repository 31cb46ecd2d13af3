// SPDX-License-Identifier: Apache-2.0
//
// Early return on failure, for functions that return Status or Result.
#pragma once

#include <utility>

#include "caisson/status.h"

#define CAISSON_RETURN_IF_ERROR(expr)                                        \
  do {                                                                       \
    if (::caisson::Status caisson_status_ = (expr); !caisson_status_.ok()) { \
      return caisson_status_;                                                \
    }                                                                        \
  } while (false)

#define CAISSON_CONCAT_(a, b) a##b
#define CAISSON_CONCAT(a, b) CAISSON_CONCAT_(a, b)

#define CAISSON_ASSIGN_OR_RETURN_(result, lhs, expr) \
  auto result = (expr);                              \
  if (!result.has_value()) return result.error();    \
  lhs = std::move(*result)

// CAISSON_ASSIGN_OR_RETURN(auto x, F()): x is F()'s value, or F()'s Status is
// returned.
#define CAISSON_ASSIGN_OR_RETURN(lhs, expr) \
  CAISSON_ASSIGN_OR_RETURN_(CAISSON_CONCAT(result_, __LINE__), lhs, expr)
