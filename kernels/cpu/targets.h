// SPDX-License-Identifier: Apache-2.0
//
// The SIMD targets of the host's kernels, by their Highway names in lower
// case: "avx3_dl", "sse4". For `caisson info`, tests and benchmarks. Any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace caisson::cpu {

struct SimdTarget {
  std::string name;
  int64_t bit;  // as hwy::SetSupportedTargetsForTest takes it
};

// Those compiled in that this CPU can run, best first; never empty. The first
// is the one in use.
std::vector<SimdTarget> SimdTargets();

}  // namespace caisson::cpu
