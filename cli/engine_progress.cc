// SPDX-License-Identifier: Apache-2.0
#include "cli/engine_progress.h"

#include <algorithm>
#include <utility>

namespace caisson::cli {

EngineProgress::EngineProgress(Progress& line, uint64_t begun, uint64_t share,
                               std::string what)
    : line_(line), begun_(begun), share_(share), what_(std::move(what)) {
  line_.Show(begun_, what_);
}

ProgressCallback EngineProgress::callback() {
  return [this](const caisson::Progress& progress) { Update(progress); };
}

void EngineProgress::Update(const caisson::Progress& progress) {
  // The engine counts the bytes of tensors, the line those of files.
  if (progress.total == 0) return;
  const double part = std::min(1.0, static_cast<double>(progress.bytes) /
                                        static_cast<double>(progress.total));
  const auto bytes = static_cast<uint64_t>(part * static_cast<double>(share_));
  line_.Update(begun_ + bytes, what_);
}

}  // namespace caisson::cli
