// SPDX-License-Identifier: Apache-2.0
//
// Shows on a line of progress how far an Engine is.
#pragma once

#include <cstdint>
#include <string>

#include "caisson/engine.h"
#include "cli/progress.h"

namespace caisson::cli {

// One load, save or check, as a share of the work that the line tells of.
// Used by one thread.
class EngineProgress {
 public:
  // Shows that `begun` bytes of the line's are done and that `what` comes next,
  // which counts for `share` bytes. `line` must outlive the object.
  EngineProgress(Progress& line, uint64_t begun, uint64_t share,
                 std::string what);
  EngineProgress(const EngineProgress&) = delete;
  EngineProgress& operator=(const EngineProgress&) = delete;

  // For the engine. REQUIRES: called during the life of the object only.
  ProgressCallback callback();

 private:
  void Update(const caisson::Progress& progress);

  Progress& line_;
  const uint64_t begun_;
  const uint64_t share_;
  const std::string what_;
};

}  // namespace caisson::cli
