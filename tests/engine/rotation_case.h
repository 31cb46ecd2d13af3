// SPDX-License-Identifier: Apache-2.0
//
// What the tests of Rotation share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caisson/rotation.h"
#include "core/engine/rotation/rotation_impl.h"
#include "tests/engine/state_files.h"

namespace caisson {

// The file of some small state; another for every seed.
inline const std::string& SmallFile(uint64_t seed) {
  static std::map<uint64_t, std::string> known;
  std::string& file = known[seed];
  if (file.empty()) {
    State state;
    state["a"] = RandomTensor(DType::kFloat32, {50}, seed);
    file = FileOf(state);
  }
  return file;
}

inline std::vector<uint64_t> StepsIn(
    const Result<std::vector<Checkpoint>>& list) {
  std::vector<uint64_t> steps;
  EXPECT_THAT(list.status(), IsOk());
  if (!list.has_value()) return steps;
  for (const Checkpoint& checkpoint : *list) steps.push_back(checkpoint.step);
  return steps;
}

// A directory, the rotations of it, and what is in it.
class RotationTest : public testing::Test {
 protected:
  Rotation Make(RotationOptions options = {},
                FileSystem& files = FileSystem::Posix()) const {
    auto rotation = MakeRotation(scratch_.path(), std::move(options), files);
    EXPECT_THAT(rotation, IsOk());
    return *std::move(rotation);
  }

  // Files of these steps, each with a content of its own.
  void PutSteps(const std::vector<uint64_t>& steps) const {
    for (const uint64_t step : steps) Put(PathOf(step), SmallFile(step));
  }

  std::string PathOf(uint64_t step) const {
    return scratch_ / ("step" + std::to_string(step) + ".pt");
  }

  std::string Link() const {
    return std::filesystem::read_symlink(scratch_ / "latest");
  }

  uint64_t LatestOf(const Rotation& rotation) const {
    const auto latest = rotation.Latest();
    EXPECT_THAT(latest.status(), IsOk());
    return latest.has_value() ? latest->step : 0;
  }

  const ScratchDirectory scratch_{MemoryRoot()};
};

}  // namespace caisson
