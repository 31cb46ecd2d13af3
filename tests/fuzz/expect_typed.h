// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

#include "caisson/status.h"

namespace caisson {

// Bad input gets one of two errors, and words; anything else is a finding.
inline void ExpectTyped(const Status& status) {
  if (status.code() != StatusCode::kCorrupt &&
      status.code() != StatusCode::kUnsupported) {
    std::abort();
  }
  if (status.message().empty()) std::abort();
}

}  // namespace caisson
