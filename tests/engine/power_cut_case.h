// SPDX-License-Identifier: Apache-2.0
//
// What the power cut tests share.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>

#include "caisson/state.h"
#include "caisson/status.h"
#include "core/io/file_system.h"

namespace caisson {

using SaveFunction =
    std::function<Status(FileSystem&, const State&, const std::string&)>;

// How many power cuts each test tries: CAISSON_POWER_CUT_SEEDS, else 50.
inline int PowerCutSeeds() {
  const char* const seeds = std::getenv("CAISSON_POWER_CUT_SEEDS");
  return seeds == nullptr ? 50 : std::atoi(seeds);
}

}  // namespace caisson
