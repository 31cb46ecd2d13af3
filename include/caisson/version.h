// SPDX-License-Identifier: Apache-2.0
//
// What this build is, and what it can do on this machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace caisson {

// "0.1.0"
const char* Version();

struct BuildInfo {
  std::string version;
  std::string simd_target;                // in use on this machine
  std::vector<std::string> simd_targets;  // compiled in and runnable here
  // One line for each CUDA device.
  std::vector<std::string> cuda_devices;
  std::string cuda;  // which CUDA, or why there is none
  // Name and version of each library that this build uses.
  std::vector<std::pair<std::string, std::string>> libraries;
};

BuildInfo QueryBuild();

}  // namespace caisson
