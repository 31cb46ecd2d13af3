// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/targets.h"

#include "hwy/targets.h"

namespace caisson::cpu {
namespace {

std::string LowerCase(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace

std::vector<SimdTarget> SimdTargets() {
  std::vector<int64_t> bits = hwy::SupportedAndGeneratedTargets();
  if (bits.empty()) bits.push_back(HWY_STATIC_TARGET);  // what dispatch takes
  std::vector<SimdTarget> targets;
  for (const int64_t bit : bits) {
    targets.push_back({LowerCase(hwy::TargetName(bit)), bit});
  }
  return targets;
}

}  // namespace caisson::cpu
